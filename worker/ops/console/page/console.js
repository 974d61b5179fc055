'use strict';
// This file shows the state that the feed sends once a second. It also does what concerns the whole page: the connection, signing
// in, pausing and the theme.

let state = null;
let points = []; // what the plots show, oldest first
let lost = null; // the timer that reports a lost connection
let feed = null;
let takenAt = 0; // when the last message came, by the page's own clock
let resumedAt = 0; // when this page ended a pause, by the worker's clock

// connect opens the feed. It sends the cookie, so the feed knows who is signed in.
function connect() {
  if (feed) feed.close();
  const outcome = $('tail-outcome').value;
  feed = new EventSource('console/feed' + (outcome ? '?outcome=' + outcome : ''));
  feed.onmessage = e => {
    clearTimeout(lost);
    lost = setTimeout(() => link('lost', 'Disconnected'), 4000);
    take(JSON.parse(e.data));
  };
  feed.onerror = () => {
    link('lost', 'Disconnected');
    if (feed.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  };
}

function link(kind, text) {
  document.body.dataset.link = kind;
  if ($('link').textContent !== text) $('link').textContent = text;
  if (kind === 'lost') notice(`No answer from this worker. ${state ? `You see its state of ${time(state.t)}. ` : ''}The page keeps trying to reach it.`);
}

function take(message) {
  const first = state === null;
  state = message.state;
  takenAt = performance.now();
  forgetStops();
  addPoints(message.points);
  link('live', 'Live');
  showState();
  showSettled(message.settled);
  for (const plot of plots) plot.draw(points);
  if (first || lettersChanged()) loadLetters();
  if (first && address.letter) showDetail(address.letter);
}

// addPoints takes in what is new. A point comes again if a worker told later what it did.
function addPoints(list) {
  const anew = new Set(list.map(p => p.t)), oldest = Math.floor(state.t / 1000) - windowSeconds - stepSeconds;
  points = points.filter(p => p.t > oldest && !anew.has(p.t)).concat(list).sort((a, b) => a.t - b.t);
}

function notice(text, kind) {
  $('notice').hidden = !text;
  $('notice').className = 'notice ' + (kind || '');
  if ($('notice').textContent !== text) $('notice').textContent = text || '';
}

// asOf says how old the figures are that can't be read now.
const asOf = fleet => fleet ? ` You see the queue, the dead letters and the other workers as they were at ${time(fleet.time)}.` : '';

function set(id, text, note) {
  setText($(id), text);
  if (note !== undefined) setText($(id + '-note'), note || '\u00a0');
}

function showState() {
  const {worker, fleet} = state, workers = answering(), braked = workers.filter(w => w.braked).length;
  setText($('version'), state.version);
  setText($('stream'), `${state.stream} › ${state.consumer}`);
  if (!state.connected) notice('This worker is not connected to NATS. Events wait in the stream.' + asOf(fleet));
  else if (!state.working) notice('The streams and the consumer are not set up yet. The log says what is missing.', 'warning');
  else if (fleet && fleet.paused) notice(`All workers are paused ${fleet.pausedUntil ? 'until ' + time(fleet.pausedUntil) : 'until somebody resumes them'}. Sessions that end meanwhile keep their tokens.`, 'warning');
  else if (pausedText(fleet)) notice(pausedText(fleet), 'warning');
  else if (braked) notice(`The API answered CALLER_ERROR for many sessions in a row. ${workers.length > 1 ? `${count(braked)} of ${count(workers.length)} workers hold` : 'This worker holds'} other events back until a session is revoked. If the answers are right, Resume lets such events go to the dead letters.`, 'warning');
  else if (emptyText(workers)) notice(emptyText(workers), 'warning');
  else if (state.fleetError) notice('The state of the streams can\u2019t be read: ' + sentence(state.fleetError) + asOf(fleet), 'warning');
  else notice('');

  showBreaker();
  showWorkers();
  showTimes(workers);
  showLanes(fleet ? fleet.lanes : [], workers);
  showWaits();
  $('let-go').hidden = !(state.signedIn && braked);
  showHeld();
  showAges();
  setText($('plots-note'), workers.length < 2 ? 'of this worker' : state.told < workers.length ? `of the ${count(state.told)} workers that tell, of ${count(workers.length)}` : `of all ${count(workers.length)} workers together`);

  $('sign').hidden = !state.canAct;
  $('sign').textContent = state.signedIn ? 'Sign out' : 'Sign in';
  $('sign').title = state.operator ? 'signed in as ' + state.operator : '';
  if (!fleet) return;
  showFigures(fleet, state.rates);
  $('pause').hidden = !state.signedIn;
  $('pause').textContent = fleet.paused ? 'Resume' : 'Pause';
  $('resume').hidden = !state.signedIn || !pausedText(fleet);
  showActions();
}

// showFigures shows what revoker status shows, from the same figures.
function showFigures(fleet, rates) {
  const answered = (state.workers || []).filter(w => !w.silent).length, some = plural(Math.max(answered, fleet.openPulls), 'worker');
  const others = fleet.backlog === 0 && fleet.unsettled > 0 ? plural(fleet.unsettled, 'event') + ' in work or waiting: ' : '';
  set('backlog', count(fleet.backlog), others + outlook(fleet, rates));
  if (fleet.waitingForRetry === undefined) {
    set('inflight', '?', `only ${count(answered)} of ${some} answered`);
    set('retrying', '?', `${count(fleet.unsettled)} are in work or wait`);
  } else {
    set('inflight', count(fleet.inFlight), `in the hands of ${some}`);
    set('retrying', count(fleet.waitingForRetry), fleet.waitingForRetry ? 'handed back, to be tried again' : 'none');
  }
  const oldest = fleet.oldest;
  set('oldest', oldest ? duration(oldest.ageSeconds) : '–', oldest ? 'not settled' : 'no event waits');
  const dead = fleet.deadLetters;
  set('dead', dead ? count(dead.total) : '?', dead ? reasons(dead) : 'can\u2019t be read');
}

// outlook says what can be said of the time until no event is left, as revoker status does.
function outlook(fleet, rates) {
  if (!rates) return '';
  switch (rates.outlook) {
    case 'shrinking': return `nothing left in ${duration((Date.parse(rates.eta) - Date.parse(fleet.time)) / 1000)}`;
    case 'growing': return `growing by ${count(Math.round(-rates.shrinkingPerSecond))}/s`;
    case 'breaker open': return 'no estimate while the circuit breaker is open';
    case 'not known': return 'rates are known in a moment';
  }
  return rates.outlook;
}

// showWaits lists the events whose call failed at this worker. Only the worker that made the call knows how it went.
function showWaits() {
  const {waits, waitsKnown, fleet} = state;
  const more = Math.max((fleet && fleet.waitingForRetry || 0) - waitsKnown, 0);
  $('waits').hidden = waits.length === 0 && more === 0;
  const known = waits.length < waitsKnown ? `the ${count(waits.length)} due next, of ${count(waitsKnown)} whose call failed at this worker` : 'those whose call failed at this worker';
  const others = more && `${plural(more, waits.length ? 'other' : 'event')} can\u2019t be listed: handed back by other workers, before this worker started, or without a call`;
  setText($('waits-note'), [waits.length && known, others].filter(Boolean).join('. '));
  $('waits-table').hidden = waits.length === 0;
  fill($('waits-table').tBodies[0], waits, w => String(w.sequence), w => [
    cell('Session', w.session || '–', 'id'), cell('Sequence', String(w.sequence), 'number'), cell('Attempts', String(w.attempt), 'number'),
    cell('Next due', w.due >= state.t + 50 ? 'in ' + soon((w.due - state.t) / 1000) : overdue()), line('Last error', w.detail)]);
}

// overdue says when the retries go on that are due already.
function overdue() {
  if (state.worker && state.worker.breaker !== 'closed') return 'when the breaker closes';
  return state.fleet && state.fleet.paused ? 'after the pause' : 'now';
}

// reasons says why there are dead letters, and of how many that is known.
function reasons(dead) {
  const list = Object.entries(dead.reasons || {}).sort((a, b) => b[1] - a[1]).map(([reason, n]) => `${reason} ${count(n)}`);
  if (!dead.total || !list.length) return '';
  const some = dead.counted < dead.total ? ` (of the newest ${count(dead.counted)})` : '';
  return list.join(', ') + some + (dead.oldest ? `; the oldest is ${duration(Math.max((state.t - Date.parse(dead.oldest)) / 1000, 0))} old` : '');
}

// post sends JSON and returns the answer. If the worker refuses, it throws the worker's message.
async function post(path, body) {
  const response = await fetch(path, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)});
  if (!response.ok) throw new Error(await errorText(response));
  return response;
}

async function errorText(response) {
  try { return sentence((await response.json()).error); } catch { return `The worker answered ${response.status}.`; }
}

for (const button of document.querySelectorAll('[data-close]')) button.onclick = () => button.closest('dialog').close();

$('sign').onclick = async () => {
  if (!state.signedIn) { $('sign-in-error').hidden = true; $('sign-in').showModal(); return; }
  await post('console/sign-out', {}).catch(() => {});
  state.signedIn = false;
  showState();
  connect(); // the old feed still has the cookie
};

$('sign-in-form').onsubmit = async e => {
  e.preventDefault();
  const form = e.target;
  try {
    await post('console/sign-in', {name: form.name.value, token: form.token.value});
    form.token.value = '';
    $('sign-in').close();
    state.signedIn = true;
    showState();
    connect();
  } catch (err) { fail('sign-in-error', err); }
};

// forgetStops takes what was read before this page ended a pause for what it is now. Otherwise the pause would show up again until the
// next reading.
function forgetStops() {
  if (state.fleet && Date.parse(state.fleet.time) < resumedAt) {
    state.fleet.paused = false;
    for (const lane of state.fleet.lanes) lane.paused = false;
  }
  for (const w of state.workers || []) if (Date.parse(w.answered) < resumedAt) w.braked = false;
  if (state.worker && state.t < resumedAt) state.worker.braked = false;
}

// resume ends a pause, and lets the events go on that CALLER_ERROR holds back.
async function resume() {
  try {
    await post('console/resume', {});
    resumedAt = state.t + performance.now() - takenAt;
    forgetStops();
    showState();
  } catch (err) { notice(err.message); }
}

$('let-go').onclick = resume;
$('resume').onclick = resume;
$('pause').onclick = () => {
  if (state.fleet && state.fleet.paused) { resume(); return; }
  $('pause-error').hidden = true;
  $('pausing').showModal();
};

$('pause-form').onsubmit = async e => {
  e.preventDefault();
  try {
    await post('console/pause', {seconds: Number(e.target.seconds.value)});
    $('pausing').close();
  } catch (err) { fail('pause-error', err); }
};

function fail(id, err) {
  $(id).textContent = err.message;
  $(id).hidden = false;
}

$('theme').onclick = () => {
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const now = document.documentElement.dataset.theme || (dark ? 'dark' : 'light');
  const next = now === 'dark' ? 'light' : 'dark';
  document.documentElement.dataset.theme = next;
  try { localStorage.theme = next; } catch { /* a private window forgets the theme */ }
  for (const plot of plots) plot.redraw();
};
try { if (localStorage.theme) document.documentElement.dataset.theme = localStorage.theme; } catch { /* private window */ }
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { for (const plot of plots) plot.redraw(); });

for (const plot of plots) plot.draw([]);
address.read();
connect();
