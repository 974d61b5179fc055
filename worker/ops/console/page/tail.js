'use strict';
// This file shows what settles now, at this worker: all of it, or one outcome. It can be stopped, to read.

const tail = {
  newest: {t: 0, n: 0}, // the newest settlement that the page knows
  stopped: false,
  waiting: [], // what came since it was stopped, newest first
};

const tailRows = 50;

const outcomes = {caller_error: 'dead letter', invalid: 'dead letter', retries_exhausted: 'dead letter'};

function showSettled(list) {
  list = list.filter(s => s.t > tail.newest.t || s.t === tail.newest.t && s.n > tail.newest.n);
  if (list.length) tail.newest = list[0];
  if (tail.stopped) {
    tail.waiting = list.concat(tail.waiting).slice(0, tailRows);
    const n = tail.waiting.length;
    setText($('tail-note'), `stopped: ${n === tailRows ? tailRows + ' or more' : count(n)} newer`);
    return;
  }
  setText($('tail-note'), `by worker ${state.host}, with masked sessions`);
  $('settled-empty').hidden = $('settled').tBodies[0].rows.length + list.length > 0;
  const body = $('settled').tBodies[0];
  for (const s of list.slice().reverse()) {
    body.prepend(el('tr', {},
      cell('Time', clock(s.t)),
      cell('Outcome', el('span', {className: 'tag ' + s.outcome}, outcomes[s.outcome] || s.outcome)),
      cell('Session', s.session || '–', 'id'),
      cell('Call', s.ms ? short(s.ms) + ' ms' : '–', 'number'),
      line('What', s.detail || (s.deliveries > 1 ? `at delivery ${s.deliveries}` : '–'))));
  }
  while (body.rows.length > tailRows) body.deleteRow(-1);
}

function stopTail(stop) {
  tail.stopped = stop;
  setText($('tail-pause'), stop ? 'Go on' : 'Stop');
  const missed = tail.waiting;
  tail.waiting = [];
  tail.newest = missed.length ? {t: 0, n: 0} : tail.newest;
  if (state) showSettled(missed);
}

// follow begins anew, with the last settlements of the outcome.
function follow() {
  tail.newest = {t: 0, n: 0};
  tail.waiting = [];
  $('settled').tBodies[0].replaceChildren();
  setText($('settled-empty'), $('tail-outcome').value ? 'None was settled with this outcome lately. The next appears here within a second.'
    : 'No event was settled yet. An event appears here within a second.');
  stopTail(false);
  connect();
}

$('tail-pause').onclick = () => stopTail(!tail.stopped);
$('tail-outcome').onchange = () => { address.write(); follow(); };
