'use strict';
// This file draws the three plots of the last 15 minutes. It draws a plot again when the window, the theme or the data change.

const windowSeconds = 15 * 60;

class Plot {
  constructor(id, series, unit) {
    this.box = document.getElementById(id);
    this.output = document.getElementById(id + '-now');
    this.series = series; // {name, colour: a CSS variable, value: of a second, fill}
    this.unit = unit;
    new ResizeObserver(() => this.resize()).observe(this.box);
  }

  draw(seconds) {
    this.seconds = seconds;
    this.data = [seconds.map(s => s.t), ...this.series.map(d => seconds.map(s => d.value(s)))];
    if (this.plot) this.plot.setData(this.data, false);
    else this.create();
    const now = Math.floor(Date.now() / 1000);
    this.plot.batch(() => {
      this.plot.setScale('x', {min: now - windowSeconds, max: now});
      const most = Math.max(0, ...this.data.slice(1).flat().filter(v => v !== null));
      this.plot.setScale('y', {min: 0, max: most > 0 ? most * 1.1 : 1});
    });
    this.describe(seconds);
  }

  // describe writes the newest values as text, which a screen reader reads too.
  describe(seconds) {
    const last = seconds[seconds.length - 1];
    const words = !last ? '' : this.series.map(d => {
      const value = d.value(last);
      return (this.series.length > 1 ? d.name + ' ' : '') + (value === null ? '–' : short(value) + this.unit);
    }).join(' · ');
    this.output.textContent = words;
    this.box.setAttribute('aria-label', this.label() + (words ? ', now ' + words : ', no data yet'));
  }

  label() { return this.series.map(d => d.name).join(' and ') + ', last 15 minutes'; }

  create() {
    const style = getComputedStyle(document.documentElement);
    const colour = name => style.getPropertyValue(name).trim();
    const probe = document.createElement('span'); // only an element's own colour resolves light-dark()
    document.body.append(probe);
    const resolved = name => { probe.style.color = colour(name); return getComputedStyle(probe).color; };
    const axis = {stroke: resolved('--soft'), grid: {stroke: resolved('--line'), width: 1}, ticks: {show: false}, font: '11px system-ui'};
    this.plot = new uPlot({
      width: Math.max(this.box.clientWidth, 50), height: this.box.clientHeight,
      cursor: {show: false}, legend: {show: false},
      scales: {x: {auto: false}, y: {auto: false}},
      axes: [
        {...axis, size: 26, space: 70, values: (_, ticks) => ticks.map(t => new Date(t * 1000).toLocaleTimeString([], {hour: '2-digit', minute: '2-digit', hour12: false}))},
        {...axis, size: 46, values: (_, ticks) => ticks.map(short)},
      ],
      series: [{}, ...this.series.map(d => {
        const stroke = resolved(d.colour);
        return {label: d.name, stroke, width: 1.5, fill: d.fill ? stroke.replace('rgb(', 'rgba(').replace(')', ', .15)') : undefined, spanGaps: false, points: {show: false}};
      })],
    }, this.data, this.box);
    probe.remove();
  }

  resize() {
    if (this.plot && this.box.clientWidth > 0) this.plot.setSize({width: this.box.clientWidth, height: this.box.clientHeight});
  }

  // redraw applies a change of the theme.
  redraw() {
    if (!this.plot) return;
    this.plot.destroy();
    this.plot = null;
    this.draw(this.seconds);
  }
}

function short(value) {
  if (value === null || value === undefined) return '–';
  if (value >= 1e6) return trim(value / 1e6) + 'M';
  if (value >= 1e4) return trim(value / 1e3) + 'k';
  return trim(value);
}

function trim(value) {
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(value >= 10 ? 1 : 2).replace(/\.?0+$/, '');
}

const plots = [
  new Plot('plot-rate', [{name: 'revoked', colour: '--green', value: s => s.revoked, fill: true}], '/s'),
  new Plot('plot-latency', [
    {name: 'p50', colour: '--blue', value: s => s.p50},
    {name: 'p99', colour: '--amber', value: s => s.p99},
  ], ' ms'),
  new Plot('plot-outcomes', [
    {name: 'retries', colour: '--amber', value: s => s.retried, fill: true},
    {name: 'dead letters', colour: '--red', value: s => s.dead, fill: true},
  ], '/s'),
];
