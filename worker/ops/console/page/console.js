'use strict';
// This file shows the state that the feed sends once a second. It also does what concerns the whole page: the connection, signing
// in, pausing and the theme.

let state = null;
let points = []; // what the plots show, oldest first
let lost = null; // the timer that reports a lost connection
let feed = null;

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
  if (kind === 'lost') notice('No answer from this worker. You see its last state. The page keeps trying to reach it.');
}

function take(message) {
  const first = state === null;
  state = message.state;
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

function set(id, text, note) {
  setText($(id), text);
  if (note !== undefined) setText($(id + '-note'), note || '\u00a0');
}

function showState() {
  const {worker, fleet} = state, workers = answering(), braked = workers.filter(w => w.braked).length;
  setText($('version'), state.version);
  setText($('stream'), `${state.stream} › ${state.consumer}`);
  if (!state.connected) notice('This worker is not connected to NATS. Events wait in the stream.');
  else if (!state.working) notice('The streams and the consumer are not set up yet. The log says what is missing.', 'warning');
  else if (fleet && fleet.paused) notice(`All workers are paused ${fleet.pausedUntil ? 'until ' + time(fleet.pausedUntil) : 'until somebody resumes them'}. Sessions that end meanwhile keep their tokens.`, 'warning');
  else if (pausedText(fleet)) notice(pausedText(fleet), 'warning');
  else if (braked) notice(`The API answered CALLER_ERROR for many sessions in a row. ${workers.length > 1 ? `${count(braked)} of ${count(workers.length)} workers hold` : 'This worker holds'} other events back until a session is revoked. If the answers are right, Resume lets such events go to the dead letters.`, 'warning');
  else if (emptyText(workers)) notice(emptyText(workers), 'warning');
  else if (state.fleetError) notice('The state of the streams can\u2019t be read: ' + state.fleetError, 'warning');
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
  set('backlog', count(fleet.backlog), outlook(fleet, rates));
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
  const listed = waits.length < waitsKnown ? `the ${count(waits.length)} due next, of ${count(waitsKnown)} whose call failed at this worker` : 'those whose call failed at this worker';
  setText($('waits-note'), listed + (more ? `. ${count(more)} more are not listed: handed back by other workers, before this worker started, or without a call` : ''));
  $('waits-table').hidden = waits.length === 0;
  fill($('waits-table').tBodies[0], waits, w => String(w.sequence), w => [
    cell('Session', w.session || '–', 'id'), cell('Sequence', String(w.sequence), 'number'), cell('Attempts', String(w.attempt), 'number'),
    cell('Next due', w.due > state.t ? 'in ' + soon((w.due - state.t) / 1000) : 'now'), line('Last error', w.detail)]);
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
  try { return (await response.json()).error; } catch { return `The worker answered ${response.status}.`; }
}

for (const button of document.querySelectorAll('[data-close]')) button.onclick = () => button.closest('dialog').close();

$('sign').onclick = async () => {
  if (!state.signedIn) { $('sign-in-error').hidden = true; $('sign-in').showModal(); return; }
  await post('console/sign-out', {}).catch(() => {});
  state.signedIn = false;
  showState();
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

// resume ends a pause, and lets the events go on that CALLER_ERROR holds back.
async function resume() {
  try {
    await post('console/resume', {});
    if (state.fleet) {
      state.fleet.paused = false;
      for (const lane of state.fleet.lanes) lane.paused = false;
    }
    for (const w of [state.worker, ...state.workers]) if (w) w.braked = false;
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
