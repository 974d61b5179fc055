'use strict';
// This file draws the plots of the last 15 minutes. It draws a plot again when the window, the theme or the data change.
// Under the pointer, or a finger, a plot shows the values of one moment.

const windowSeconds = 15 * 60;
const stepSeconds = 5; // of a point
const leastSeconds = 60; // that a plot shows, while there is less data

class Plot {
  // unit follows each value, or words and axis say how it is written. steps are those of the axis, if not those of numbers. With bucket, values are sums over so many seconds, drawn as
  // bars that stand on each other. With sparse, only series that are not 0 throughout are named.
  constructor(id, series, {unit, bucket, words, axis, steps, sparse}) {
    this.box = document.getElementById(id);
    this.output = document.getElementById(id + '-now');
    this.series = series; // {name, colour: a CSS variable, value: of a point, fill, step, optional: not named without a value}
    this.sparse = sparse;
    this.title = this.box.getAttribute('aria-label');
    this.inWords = words || (value => short(value) + (unit || ''));
    this.onAxis = axis || this.inWords;
    this.steps = steps;
    this.bucket = bucket || 1;
    this.tip = this.box.appendChild(document.createElement('div'));
    this.tip.className = 'tip';
    this.tip.hidden = true;
    new ResizeObserver(() => this.resize()).observe(this.box);
    for (const kind of ['touchstart', 'touchmove']) this.box.addEventListener(kind, e => this.touch(e), {passive: true});
    this.box.addEventListener('touchend', () => this.point(-10));
  }

  draw(points) {
    this.given = points;
    this.points = this.gather(points);
    const values = this.series.map((_, i) => this.points.map(p => p.values[i]));
    // What stands on another value is drawn first, and the other over it.
    const drawn = this.bucket > 1 ? values.map((list, i) => list.map((_, at) => values.slice(i).reduce((sum, l) => sum + l[at], 0))) : values;
    this.data = [this.points.map(p => p.t), ...drawn];
    if (this.plot) this.plot.setData(this.data, false);
    else this.create();
    const now = Math.floor(Date.now() / 1000);
    this.plot.batch(() => {
      const first = this.points.length ? this.points[0].t : now;
      this.plot.setScale('x', {min: Math.max(now - windowSeconds, Math.min(first, now - leastSeconds)), max: now});
      const most = Math.max(0, ...this.data.slice(1).flat().filter(v => v !== null));
      this.plot.setScale('y', {min: 0, max: most > 0 ? most * 1.1 : 1});
    });
    this.describe();
  }

  // gather returns what is drawn: the points, or sums of them. A bucket begins at a multiple of its length, so that bars stand still.
  // Where no worker was there is a gap.
  gather(given) {
    const points = [];
    for (const p of given) {
      const t = p.t - p.t % this.bucket;
      const values = this.series.map(d => d.value(p));
      const last = points[points.length - 1];
      if (last && last.t === t) { last.values = last.values.map((v, i) => v + values[i]); continue; }
      if (last && this.bucket === 1 && t - last.t > stepSeconds) points.push({t: last.t + stepSeconds, values: this.series.map(() => null)});
      points.push({t, values});
    }
    return points;
  }

  words(values) {
    return this.series.map((d, i) => (this.series.length > 1 ? d.name + ' ' : '') + (values[i] === null || values[i] === undefined ? '–' : this.inWords(values[i])));
  }

  // named are the numbers of the series that the legend and the tip name.
  named() {
    const all = this.series.map((_, i) => i);
    if (this.sparse) return all.filter(i => this.points.some(p => p.values[i]));
    return all.filter(i => !this.series[i].optional || this.points.some(p => p.values[i] !== null && p.values[i] !== undefined));
  }

  // describe writes the newest values as text, which a screen reader reads too, and with their colours it is the legend. A bucket
  // that has just begun is not the newest.
  describe() {
    const whole = this.bucket > 1 ? this.points.slice(0, -1) : this.points;
    const last = whole[whole.length - 1];
    const words = this.words(last ? last.values : []), named = this.named();
    const entries = named.length ? named.map(i => [this.series[i].colour.slice(2), words[i]]) : [['nothing', 'none']];
    while (this.output.children.length > entries.length) this.output.lastChild.remove();
    entries.forEach(([colour, word], i) => {
      const entry = this.output.children[i] || this.output.appendChild(document.createElement('span'));
      entry.className = colour;
      setText(entry, word);
    });
    this.box.setAttribute('aria-label', this.label() + (last ? ', now ' + entries.map(e => e[1]).join(', ') : ', no data yet'));
  }

  label() { return this.title + ': ' + this.series.map(d => d.name).join(', ') + ', last 15 minutes'; }

  create() {
    const style = getComputedStyle(document.documentElement);
    const colour = name => style.getPropertyValue(name).trim();
    const probe = document.createElement('span'); // only an element's own colour resolves light-dark()
    document.body.append(probe);
    const resolved = name => { probe.style.color = colour(name); return getComputedStyle(probe).color; };
    const axis = {stroke: resolved('--soft'), grid: {stroke: resolved('--line'), width: 1}, ticks: {show: false}, font: '11px system-ui'};
    const bars = this.bucket > 1 ? {paths: uPlot.paths.bars({size: [0.75, 30], align: 1}), width: 0} : {width: 1.5};
    this.plot = new uPlot({
      width: Math.max(this.box.clientWidth, 50), height: this.box.clientHeight,
      padding: [null, 28, null, null], // half of a time, which may stand at the end of the axis
      cursor: {y: false, drag: {x: false, y: false}, points: {show: this.bucket === 1}}, legend: {show: false},
      scales: {x: {auto: false}, y: {auto: false}},
      tzDate: t => uPlot.tzDate(new Date(t * 1000), 'Etc/UTC'),
      axes: [
        {...axis, size: 26, space: 70, values: (_, ticks) => ticks.map(t => time(t * 1000).slice(11, ticks.length > 1 && ticks[1] - ticks[0] < 60 ? 19 : 16) + 'Z')},
        {...axis, size: 54, ...(this.steps ? {incrs: this.steps} : {}), values: (_, ticks) => ticks.map(v => this.onAxis(v))},
      ],
      series: [{}, ...this.series.map(d => {
        const stroke = resolved(d.colour);
        const area = stroke.replace('rgb(', 'rgba(').replace(')', ', .15)');
        return {label: d.name, stroke, fill: this.bucket > 1 ? stroke : d.fill ? area : undefined, spanGaps: false, points: {show: false, size: 4, filter: this.bucket > 1 ? () => null : alone}, ...(d.step ? {paths: uPlot.paths.stepped({align: 1})} : {}), ...bars};
      })],
      hooks: {setCursor: [plot => this.show(plot.cursor)]},
    }, this.data, this.box);
    probe.remove();
  }

  // show puts the values under the pointer beside it.
  show({idx, left}) {
    const point = left >= 0 && idx !== null && idx !== undefined && this.points[idx];
    this.tip.hidden = !point;
    if (!point) return;
    this.tip.textContent = time(point.t * 1000).slice(11) + ' · ' + (this.named().map(i => this.words(point.values)[i]).join(' · ') || 'none');
    this.tip.classList.toggle('left', left > this.plot.over.clientWidth / 2);
  }

  touch(e) { this.point(e.touches[0].clientX - this.plot.over.getBoundingClientRect().left); }

  point(left) { if (this.plot) this.plot.setCursor({left, top: left < 0 ? -10 : 10}); }

  resize() {
    if (this.plot && this.box.clientWidth > 0) this.plot.setSize({width: this.box.clientWidth, height: this.box.clientHeight});
  }

  // redraw applies a change of the theme.
  redraw() {
    if (!this.plot) return;
    this.plot.destroy();
    this.plot = null;
    this.draw(this.given);
  }
}

// alone lists the values without a neighbour. No line is drawn through these, so they get a dot.
function alone(plot, series) {
  const values = plot.data[series], none = at => values[at] === null || values[at] === undefined;
  const list = values.map((_, at) => at).filter(at => !none(at) && none(at - 1) && none(at + 1));
  return list.length ? list : null;
}

const plotOf = id => plots.find(plot => plot.box.id === id);

// Beside an axis, times stand at whole seconds, minutes or hours.
const timeSteps = [...[-6, -5, -4, -3, -2, -1].flatMap(power => [1, 2, 5].map(digit => Number(`${digit}e${power}`))),
  1, 2, 5, 10, 15, 30, ...[60, 120, 300, 600, 900, 1800], ...[1, 2, 4, 6, 12, 24, 48, 120, 240].map(h => 3600 * h)];
const times = {words: s => span(s), axis: s => shortSpan(s), steps: timeSteps};
const quantiles = lane => [
  {name: 'p50', colour: '--blue', value: s => s[lane].p50},
  {name: 'p99', colour: '--amber', value: s => s[lane].p99},
];

// causes are those of package history. The first three are dead letters, the others are tried again.
const causes = [
  ['CALLER_ERROR', '--red'], ['INVALID_EVENT', '--pink'], ['RETRIES_EXHAUSTED', '--brown'],
  ['SERVER_ERROR', '--amber'], ['no answer', '--blue'], ['throttled', '--teal'], ['other answer', '--violet'], ['misconfigured', '--soft'], ['not stored', '--green'],
];

const plots = [
  new Plot('plot-live', quantiles('live'), times),
  new Plot('plot-bulk', quantiles('bulk'), times),
  new Plot('plot-rate', [{name: 'revoked', colour: '--green', value: s => s.revoked, fill: true}], {unit: '/s'}),
  new Plot('plot-latency', [
    {name: 'p50', colour: '--blue', value: s => s.p50},
    {name: 'p99', colour: '--amber', value: s => s.p99},
  ], {unit: ' ms'}),
  new Plot('plot-outcomes', causes.map(([name, colour]) => ({name, colour, value: s => s.failed && s.failed[name] || 0})), {bucket: 10, sparse: true}),
  new Plot('plot-limit', [
    {name: 'in flight', colour: '--blue', value: s => s.inFlight, fill: true},
    {name: 'at most', colour: '--amber', value: s => s.limit, step: true},
  ], {}),
  new Plot('plot-allowed', [
    {name: 'made', colour: '--green', value: s => s.calls, fill: true},
    {name: 'the API allows', colour: '--amber', value: s => s.rate, step: true},
  ], {unit: '/s'}),
  new Plot('plot-backlog', [
    {name: 'live', colour: '--blue', value: s => s.live.backlog, step: true},
    {name: 'bulk', colour: '--amber', value: s => s.bulk.backlog, step: true, optional: true},
  ], {}),
];
