'use strict';
// This file shows the lanes: how long their sessions took to be revoked, what waits in them, which are paused, and what limits the
// calls of the workers.

// delayOf returns p50 and p99 of a lane's times to revoked in the last minute or 15 minutes, null if there are none. Those of several
// workers are of all their revocations together. If no worker tells these, they are the longest that a worker tells.
function delayOf(workers, span, lane) {
  const field = {minute: 'delays', quarter: 'delays15m'}[span];
  if (workers.length > 1 && state.told) return state.times[span][lane] || null;
  const told = workers.map(w => w[field] && w[field][lane]).filter(d => d && d.revoked);
  return told.length ? {p50: Math.max(...told.map(d => d.p50)), p99: Math.max(...told.map(d => d.p99))} : null;
}

// delaysOf says of how many workers these times are.
function delaysOf(workers) {
  if (workers.length < 2) return 'live lane';
  if (!state.told) return `the longest of ${count(workers.length)} workers`;
  return state.told < workers.length ? `live lane, ${count(state.told)} of ${count(workers.length)} workers` : `live lane, ${count(workers.length)} workers`;
}

// showTimes shows the live lane's time to revoked, and what is spent of the objective's budget, as revoker status does.
function showTimes(workers) {
  for (const [id, none] of [['minute', 'none in the last minute'], ['quarter', 'none in 15 minutes']]) {
    const d = delayOf(workers, id, 'live');
    const value = (name, s) => el('span', {className: 'value'}, el('small', {}, name + ' '), span(s));
    const text = d ? [value('p50', d.p50), ' ', value('p99', d.p99)] : ['–'];
    if ($(id).textContent !== text.map(part => part.textContent || part).join('')) $(id).replaceChildren(...text);
    setText($(id + '-note'), d ? delaysOf(workers) : none);
  }
  const kept = workers.map(w => w.objective).filter(Boolean);
  const sum = figure => kept.reduce((total, k) => total + figure(k), 0);
  const events = sum(k => k.met + k.missed), missed = sum(k => k.missed), budget = sum(k => (k.met + k.missed) * (1 - k.ratio));
  const spent = events ? missed / budget : 0;
  $('card-budget').dataset.state = !events ? '' : spent > 1 ? 'open' : spent > .5 ? 'half-open' : 'closed';
  set('budget', events ? percent(spent) + ' spent' : '–', kept.length === 0 ? 'not known'
    : kept[0].target + (events ? `: ${count(missed)} of ${count(events)} missed it in 15 minutes` : ': no live event was settled in 15 minutes'));
}

// showLanes lists them, with what waits in each.
function showLanes(lanes, workers) {
  const body = $('lanes-table').tBodies[0];
  $('figure-bulk').hidden = $('lanes-order').hidden = (lanes.length || state.lanes.length) === 1;
  if (!lanes.length) { // not read yet
    for (const row of [...body.rows]) if (!state.lanes.includes(row.dataset.key)) row.remove();
    return;
  }
  const times = d => [d ? span(d.p50) : '–', d ? span(d.p99) : '–'];
  fill(body, lanes, l => l.lane, l => {
    const [p50, p99] = times(delayOf(workers, 'minute', l.lane)), [long50, long99] = times(delayOf(workers, 'quarter', l.lane));
    return [
      cell('Lane', l.lane), cell('Backlog', count(l.backlog), 'number'), cell('In work or waiting', count(l.unsettled), 'number'),
      cell('Oldest event', l.oldest ? duration(l.oldest.ageSeconds) : '–', 'number'),
      cell('p50, last minute', p50, 'number'), cell('p99, last minute', p99, 'number'), cell('p50, 15 min', long50, 'number'), cell('p99, 15 min', long99, 'number'),
      cell('State', el('span', {className: 'tag ' + (l.paused ? 'paused' : 'revoked')}, l.paused ? 'paused ' + pauseEnd(l) : 'served'))];
  });
}

function pauseEnd(pause) { return pause.pausedUntil ? 'until ' + time(pause.pausedUntil) : 'until somebody resumes it'; }

// pausedText says which lane is paused, if one is and the other is not.
function pausedText(fleet) {
  const paused = fleet && !fleet.paused && fleet.lanes.find(l => l.paused);
  return paused ? `The ${paused.lane} lane is paused ${pauseEnd(paused)}. The other lane goes on. Sessions of the paused lane that end meanwhile keep their tokens.` : '';
}

// limitText says why no more calls of a worker are in flight, as revoker status does.
function limitText(w) {
  switch (w.limitedBy) {
    case 'concurrency': return 'REVOKER_CONCURRENCY';
    case 'start': return 'no load has asked for more yet';
    case 'latency': return 'more would queue at the API';
    case 'failures': return 'calls time out or are turned away';
    case 'rate': return `the API allows ${Number(w.rate.toPrecision(3))} calls/s`;
    case 'breaker': return 'the circuit breaker';
  }
  return w.limitedBy || '';
}

// emptyText names a source whose revocations delete nothing more often than not: the API answers OK to a wrong session ID too.
function emptyText(workers) {
  const sums = new Map();
  for (const w of workers) for (const s of w.sources || []) {
    const sum = sums.get(s.source) || {revoked: 0, empty: 0};
    sums.set(s.source, {revoked: sum.revoked + s.revoked, empty: sum.empty + s.empty});
  }
  for (const [source, s] of [...sums].sort((a, b) => a[0] < b[0] ? -1 : 1)) {
    if (s.revoked >= 5 && 2 * s.empty > s.revoked) return `${count(s.empty)} of the last ${count(s.revoked)} revocations of source ${source} deleted nothing. Are its IDs session IDs of Authlete?`;
  }
  return '';
}
