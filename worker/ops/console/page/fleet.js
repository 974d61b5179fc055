'use strict';
// This file shows the workers together: those that answer, those that no longer do, their circuit breakers, and what they hold back.

// answering are the workers that answer. Of this one alone its own state is the newest.
function answering() {
  const list = (state.workers || []).filter(w => !w.silent);
  return list.length > 1 ? list : [state.worker || list[0] || {}];
}

// showBreaker shows the circuit breaker that is worst, and in how many workers it is not closed.
function showBreaker() {
  const workers = answering(), troubled = workers.filter(w => w.breaker && w.breaker !== 'closed');
  const worst = troubled.sort((a, b) => trouble(b) - trouble(a))[0] || workers[0];
  const known = Boolean(worst.breaker);
  $('card-breaker').dataset.state = known ? worst.breaker : '…';
  const notes = {closed: 'the logout API works', 'half-open': 'probing the API: ' + worst.reason, open: worst.reason || ''};
  set('breaker', !known ? 'not started yet' : troubled.length && workers.length > 1 ? `${worst.breaker} in ${count(troubled.length)} of ${count(workers.length)}` : worst.breaker, notes[worst.breaker] || '');
  const times = known ? [since(worst.breakerSince), nextProbe(worst, 'next probe ')].filter(Boolean) : [];
  $('breaker-times').hidden = times.length === 0;
  setText($('breaker-times'), times.join('\n'));
  setText($('breaker-limit'), limits(workers));
  setText($('breaker-worker'), troubled.length && workers.length > 1 ? 'worker ' + nameOf(worst) : workers.length > 1 ? `of ${count(workers.length)} workers` : 'worker ' + state.host);
}

// trouble is greatest for a breaker that is open, and then for the one that has been for longest.
function trouble(w) {
  const age = w.breakerSince ? state.t - Date.parse(w.breakerSince) : 0;
  return (w.breaker === 'open' ? 1e15 : 0) + Math.max(age, 0);
}

// limits says how many calls may be in flight, and why no more: the reasons of most workers first.
function limits(workers) {
  const telling = workers.filter(w => w.limitedBy), reasons = new Map();
  if (!telling.length) return '';
  for (const w of telling) reasons.set(limitText(w), (reasons.get(limitText(w)) || 0) + 1);
  const sum = telling.reduce((total, w) => total + (w.limit || 0), 0);
  const why = [...reasons].sort((a, b) => b[1] - a[1]).map(([reason, n]) => reasons.size > 1 ? `${reason} (${count(n)})` : reason);
  return `at most ${plural(sum, 'call')} in flight: ${why.join(', ')}`;
}

const ageOf = t => duration(Math.max((state.t - Date.parse(t)) / 1000, 0));

function since(t) { return t ? `since ${time(t)} (${ageOf(t)})` : ''; }

const lasting = t => t ? 'for ' + ageOf(t) : '';

const breakerText = (w, when) => [w.reason, when, nextProbe(w, 'next probe ')].filter(Boolean).join(', ');

function nextProbe(worker, before) {
  const left = (Date.parse(worker.nextProbe) - state.t) / 1000;
  if (worker.nextProbe) return before + (left >= .05 ? 'in ' + soon(left) : 'is due'); // of another worker this is some seconds old
  return worker.breaker === 'half-open' ? before + 'is out' : '';
}

// showWorkers lists all workers that answer, and those that lately did. A worker of an older version does not tell everything.
function showWorkers() {
  const list = state.workers || [], silent = list.filter(w => w.silent).length, n = list.length - silent;
  setText($('workers-note'), state.working ? `${plural(n, 'worker')} ${n === 1 ? 'answers' : 'answer'}` + (silent ? `, ${count(silent)} no longer` : '') : 'this worker has not started yet');
  $('workers-problem').hidden = !state.workersProblem;
  setText($('workers-problem'), state.workersProblem ? `${list.length < 2 ? 'You see this worker alone.' : 'The other workers are shown as they were.'} ${sentence(state.workersProblem)} What a worker must be allowed stands in deploy/nats/README.md.` : '');
  fill($('workers-table').tBodies[0], list, w => w.id, workerCells, w => (w.own ? 'own ' : '') + (w.silent ? 'silent' : ''));
  fill($('workers-table').tFoot, n > 1 ? [list.filter(w => !w.silent)] : [], () => 'all', totals);
}

const told = (value, words) => value === undefined || value === null ? '–' : words ? words(value) : count(value);

// nameOf is a worker's host, and where several workers run on it the beginning of the worker's own ID.
function nameOf(w) {
  const name = w.name || 'no name';
  return w.instance && state.workers.some(other => other.name === w.name && other.id !== w.id) ? name + ' ' + w.instance.slice(0, 4) : name;
}

function workerCells(w) {
  const name = el('span', {}, nameOf(w));
  if (w.own) name.append(' ', el('span', {className: 'tag', title: 'This worker serves the page'}, 'this page'));
  const up = Date.parse(w.started) > 0 ? ageOf(w.started) : '–';
  const breaker = w.silent ? el('span', {className: 'tag paused'}, `no answer since ${clock(w.answered)}`)
    : el('span', {className: 'tag breaker-' + w.breaker}, w.breaker);
  const now = w.silent ? () => '–' : told;
  return [
    cell('Worker', name), cell('Version', w.version || '–'), cell('Up', w.silent ? '–' : up, 'number'), cell('In hand', now(w.inHand), 'number'),
    cell('Calls at most', w.silent || !w.limitedBy ? '–' : count(w.limit || 0), 'number'), cell('Why', w.silent ? '–' : limitText(w) || '–'), cell('Settled/s', w.silent ? '–' : settledRate(w), 'number'),
    cell('Not due yet', now(w.waitingForRetry), 'number'), cell('Breaker', breaker),
    line('Reason', w.silent ? '–' : breakerText(w, lasting(w.breakerSince)) || '–', breakerText(w, since(w.breakerSince))),
  ];
}

// settledRate is not told by a worker that does not know what waits either.
const settledRate = w => w.waitingForRetry === undefined ? '–' : short(w.settledPerSecond || 0);

function totals(workers) {
  const sum = value => workers.reduce((total, w) => total + (value(w) || 0), 0);
  const nothing = label => cell(label, '', 'none');
  return [
    cell('Worker', `all ${count(workers.length)}`), nothing('Version'), nothing('Up'), cell('In hand', count(sum(w => w.inHand)), 'number'),
    cell('Calls at most', count(sum(w => w.limit)), 'number'), nothing('Why'), cell('Settled/s', short(sum(w => w.settledPerSecond)), 'number'),
    cell('Not due yet', count(sum(w => w.waitingForRetry)), 'number'), nothing('Breaker'), nothing('Reason'),
  ];
}

// showHeld lists the services whose events are held back, with the workers that do.
function showHeld() {
  const services = new Map(), workers = answering();
  for (const w of workers) for (const h of w.held || []) {
    const known = services.get(h.service) || {...h, by: 0};
    services.set(h.service, {...known, by: known.by + 1, since: known.since < h.since ? known.since : h.since});
  }
  $('held').hidden = services.size === 0;
  fill($('held-table').tBodies[0], [...services.values()], h => h.service, h => [
    cell('Service', h.service, 'id'), cell('By', workers.length > 1 ? `${count(h.by)} of ${plural(workers.length, 'worker')}` : 'this worker'),
    cell('Since', time(h.since)), cell('Reason', h.reason, 'text'),
  ]);
}
