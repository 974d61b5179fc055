'use strict';
// This file shows the lanes: how long their sessions took to be revoked, what waits in them, which are paused, and what limits the
// calls of the workers.

// span is a time to revoked, from microseconds to days.
function span(s) {
  if (s < 1) return trim(s * 1000) + ' ms';
  return s < 10 ? trim(s) + ' s' : duration(s);
}

// shortSpan is the same beside an axis.
function shortSpan(s) {
  if (s < 1) return trim(s * 1000) + ' ms';
  if (s < 180) return trim(s) + ' s';
  return s < 10800 ? trim(s / 60) + ' min' : trim(s / 3600) + ' h';
}

// longest returns the longest p50 and p99 that a worker tells of a lane, null if none does.
function longest(workers, field, lane) {
  const told = workers.map(w => w[field] && w[field][lane]).filter(d => d && d.revoked);
  return told.length ? {p50: Math.max(...told.map(d => d.p50)), p99: Math.max(...told.map(d => d.p99))} : null;
}

// showTimes shows the live lane's time to revoked, and what is spent of the objective's budget, as revoker status does.
function showTimes(workers) {
  const some = workers.length > 1 ? `the longest of ${count(workers.length)} workers` : 'live lane';
  for (const [id, field, none] of [['minute', 'delays', 'none in the last minute'], ['quarter', 'delays15m', 'none in 15 minutes']]) {
    const d = longest(workers, field, 'live');
    $(id).replaceChildren(...(d ? [el('small', {}, 'p50 '), span(d.p50), el('small', {}, ' p99 '), span(d.p99)] : ['–']));
    $(id + '-note').textContent = d ? some : none;
  }
  const kept = workers.map(w => w.objective).filter(Boolean);
  const sum = figure => kept.reduce((total, k) => total + figure(k), 0);
  const events = sum(k => k.met + k.missed), missed = sum(k => k.missed), budget = sum(k => (k.met + k.missed) * (1 - k.ratio));
  const spent = events ? missed / budget : 0;
  $('card-budget').dataset.state = !events ? '' : spent > 1 ? 'open' : spent > .5 ? 'half-open' : 'closed';
  set('budget', events ? percent(spent) + ' spent' : '–', kept.length === 0 ? 'not known'
    : kept[0].target + (events ? `: ${count(missed)} of ${count(events)} missed it in 15 minutes` : ': no live event was settled in 15 minutes'));
}

const percent = share => trim(share >= .1 ? Math.round(100 * share) : Number((100 * share).toPrecision(2))) + '%';

// showLanes lists them, with what waits in each.
function showLanes(lanes, workers) {
  $('lanes').hidden = lanes.length === 0;
  $('figure-bulk').hidden = lanes.length === 1;
  const times = d => [d ? span(d.p50) : '–', d ? span(d.p99) : '–'];
  $('lanes-table').tBodies[0].replaceChildren(...lanes.map(l => {
    const [p50, p99] = times(longest(workers, 'delays', l.lane)), [long50, long99] = times(longest(workers, 'delays15m', l.lane));
    return el('tr', {},
      cell('Lane', l.lane), cell('Backlog', count(l.backlog), 'number'), cell('In work or waiting', count(l.unsettled), 'number'),
      cell('Oldest event', l.oldest ? duration(l.oldest.ageSeconds) : '–', 'number'),
      cell('p50, last minute', p50, 'number'), cell('p99, last minute', p99, 'number'), cell('p50, 15 min', long50, 'number'), cell('p99, 15 min', long99, 'number'),
      cell('State', el('span', {className: 'tag ' + (l.paused ? 'paused' : 'revoked')}, l.paused ? 'paused ' + pauseEnd(l) : 'served')));
  }));
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

// limitOf is a worker's limit with its reason. Workers of before did not tell either.
const limitOf = w => w.limitedBy ? `${count(w.limit || 0)} (${limitText(w)})` : '';

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
