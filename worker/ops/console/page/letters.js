'use strict';
// This file shows the dead letters: the groups, the list and one letter with all its facts.
// Whatever comes from a letter enters the page as text.

let listed = null; // the list on the page
let wanted = {}; // the filter
let shownState = ''; // the stream's state when the list was requested
let loading = 0;
let loadedAt = 0;
const reloadEvery = 5000; // ms, while dead letters come
const reloadAnyway = 300000; // ms: the list counts those of the last hour

function filter() {
  const form = $('filter');
  const chosen = {};
  if (form.reason.value) chosen.reason = form.reason.value;
  if (form.code.value.trim()) chosen.resultCode = form.code.value.trim();
  if (form.session.value.trim()) chosen.session = form.session.value.trim();
  if (form.since.value) chosen.since = new Date(Date.now() - 1000 * form.since.value).toISOString();
  return chosen;
}

// lettersState changes when letters come or go. It is empty until the state is known.
function lettersState() {
  const dead = state && state.fleet && state.fleet.deadLetters;
  return dead ? [dead.total, dead.firstSequence, dead.lastSequence].join() : '';
}

// lettersChanged tells whether to read the list again. While somebody works with the list, it stays as it is.
function lettersChanged() {
  const now = lettersState(), age = Date.now() - loadedAt;
  return now && (now !== shownState && age >= reloadEvery || age >= reloadAnyway) && loading === 0 &&
    !chosen().length && !$('letters-table').contains(document.activeElement);
}

// choose reads the list for what somebody chose, and puts the choice into the address.
async function choose() {
  await loadLetters();
  address.write();
}

async function loadLetters() {
  const mine = ++loading;
  loadedAt = Date.now();
  shownState = lettersState() || shownState;
  wanted = filter();
  try {
    const answer = await (await post('console/letters', wanted)).json();
    if (mine !== loading) return;
    // In a stream that was created anew the same sequences are other letters.
    const kept = listed && listed.created === answer.created ? chosen() : [];
    listed = answer;
    showLetters(kept);
  } catch (err) {
    if (mine === loading) $('letters-count').textContent = 'The dead letters can\u2019t be read: ' + err.message;
  } finally {
    if (mine === loading) loading = 0;
  }
}

// showLetters shows the list; the letters with the sequences in kept stay chosen.
function showLetters(kept) {
  showAges();
  fill($('letters-table').tBodies[0], listed.letters, l => listed.created + ' ' + l.sequence, letterCells, () => 'pick');
  for (const box of $('letters-table').tBodies[0].querySelectorAll('input')) box.checked = kept.includes(Number(box.value));
  $('choose-all').checked = false;
  $('letters-table').hidden = $('groups').hidden = listed.total === 0;
  $('letters-empty').hidden = listed.total !== 0;
  setText($('letters-empty'), Object.keys(wanted).length ? 'No dead letter matches the filter.' : 'No dead letters. Every event was revoked or still waits.');
  const some = listed.letters.length < listed.total ? `, the newest ${count(listed.letters.length)} are shown` : '';
  const all = state.fleet && state.fleet.deadLetters ? state.fleet.deadLetters.total : 0, filtered = Object.keys(wanted).length > 0;
  const found = listed.partial && !filtered && all > listed.total ? `The newest ${count(listed.total)} of ${plural(all, 'dead letter')}` : plural(listed.total, 'dead letter');
  setText($('letters-count'), `${found}${!filtered ? '' : listed.total === 1 ? ' matches' : ' match'}${some}${listed.partial ? `; letters before sequence ${count(listed.first)} are not counted` : ''}`);
  showActions();
}

// showAges shows what changes with time alone.
function showAges() {
  if (!listed) return;
  showGroups();
  setText($('letters-growth'), growth() || '\u00a0');
}

// growth says how many of the listed letters came lately, and how old the oldest is.
function growth() {
  if (!listed.total) return '';
  const sum = figure => listed.groups.reduce((total, g) => total + g[figure], 0);
  return `New: ${lately(sum('lastHour'), 3600)} in the last hour, ${lately(sum('lastDay'), 86400)} in the last day. The oldest ${listed.partial ? 'of these ' : ''}is ${age(oldest(listed.groups))} old.`;
}

// lately is a count of the letters of so many seconds. If older letters than the counted ones may belong to it, it is a lower bound.
function lately(n, seconds) {
  return (listed.partial && Date.now() - Date.parse(listed.since) < 1000 * seconds ? 'at least ' : '') + count(n);
}

const oldest = groups => groups.map(g => g.oldest).sort()[0];
const age = t => duration(Math.max((Date.now() - Date.parse(t)) / 1000, 0));

// selectionOf is what a group stands for, in the form's words. What stands for several reasons or codes chooses them all.
function selectionOf(g) {
  return {reason: g.reason === '(other)' || g.reason === '(others)' ? '' : g.reason, code: g.resultCode === '(other)' ? '' : g.resultCode || '-'};
}

function showGroups() {
  const form = $('filter');
  fill($('groups').tBodies[0], listed.groups, g => g.reason + ' ' + g.resultCode, g => {
    const {reason, code} = selectionOf(g), exact = reason !== '' && code !== '';
    const pick = el('button', {type: 'button', className: 'open'}, (g.reason || 'no reason') + ' · ' + (g.resultCode || 'no result code'));
    pick.dataset.reason = reason;
    pick.dataset.code = code;
    pick.setAttribute('aria-pressed', exact && form.reason.value === reason && form.code.value === code);
    const replay = el('button', {type: 'button', className: 'quiet', hidden: !(exact && state.signedIn)}, 'Replay');
    replay.dataset.replay = g.count;
    replay.setAttribute('aria-label', `Replay ${g.reason}, ${g.resultCode || 'no result code'}`);
    return [
      cell('Reason and code', pick), cell('Letters', count(g.count), 'number'), cell('Last hour', lately(g.lastHour, 3600), 'number'),
      cell('Last day', lately(g.lastDay, 86400), 'number'), cell('Oldest', el('span', {title: time(g.oldest)}, age(g.oldest)), 'number'), cell('Newest', el('span', {title: time(g.newest)}, age(g.newest)), 'number'), cell('', replay, 'action'),
    ];
  });
}

// A click on a group filters by it, or no longer. Its other button replays it.
$('groups').onclick = e => {
  const button = e.target.closest('button');
  if (!button) return;
  const form = $('filter'), pick = button.closest('tr').querySelector('.open'), {reason, code} = pick.dataset;
  if (button === pick) {
    const on = pick.getAttribute('aria-pressed') === 'true';
    form.reason.value = on ? '' : reason;
    form.code.value = on ? '' : code;
    choose();
    return;
  }
  confirmAct('replay', {...filter(), reason, resultCode: code}, false, Number(button.dataset.replay));
};

function letterCells(l) {
  const box = el('input', {type: 'checkbox', value: l.sequence});
  box.setAttribute('aria-label', `Choose ${l.sequence}`);
  const open = el('button', {type: 'button', className: 'open'}, String(l.sequence));
  open.setAttribute('aria-label', `Show dead letter ${l.sequence}`);
  return [
    cell('Choose', box, 'choice'), cell('Sequence', open), cell('Stored', time(l.stored)), cell('Reason', l.reason || '–'),
    cell('Code', l.resultCode || '–'), cell('Session', l.session || '–', 'id'), line('Error', l.brief),
  ];
}

// A click on a letter shows it, unless it chooses it.
$('letters-table').tBodies[0].onclick = e => {
  if (e.target.closest('.choice')) showActions();
  else if (e.target.closest('tr')) showDetail(Number(e.target.closest('tr').querySelector('input').value));
};

function chosen() { return [...$('letters-table').querySelectorAll('tbody input:checked')].map(box => Number(box.value)); }

function showActions() {
  const may = state && state.signedIn && listed && listed.total > 0;
  $('letters-actions').hidden = !may;
  for (const button of $('groups').querySelectorAll('[data-replay]')) button.hidden = !may || !button.closest('tr').querySelector('[data-reason]:not([data-reason=""]):not([data-code=""])');
  const n = chosen().length;
  for (const button of document.querySelectorAll('[data-on=chosen]')) button.disabled = n === 0;
}

async function showDetail(sequence) {
  const dialog = $('detail');
  $('detail-title').textContent = `Dead letter ${sequence}`;
  $('detail-body').replaceChildren(el('p', {className: 'empty'}, 'Loading…'));
  $('detail-actions').hidden = true;
  if (!dialog.open) dialog.showModal();
  address.letter = sequence;
  address.write();
  try {
    const response = await fetch(`console/letters/${sequence}`);
    if (!response.ok) throw new Error(await errorText(response));
    const l = await response.json();
    $('detail-body').replaceChildren(...facts(l));
    $('detail-actions').hidden = !state.signedIn;
    for (const button of $('detail-actions').children) button.onclick = () => confirmAct(button.dataset.act, {sequences: [sequence], created: l.created}, false, 1);
  } catch (err) {
    $('detail-body').replaceChildren(el('p', {className: 'error'}, err.message));
  }
}

function facts(l) {
  const list = el('dl', {});
  const fact = (name, value) => { if (value) list.append(el('dt', {}, name), el('dd', {}, String(value))); };
  fact('Reason', l.reason);
  fact('Error', l.error);
  fact('API answered', [l.httpStatus && 'HTTP ' + l.httpStatus, l.resultCode].filter(Boolean).join(', '));
  fact('Result message', l.resultMessage);
  fact('Session', l.session && l.session + ' (masked)');
  fact('Service', l.event && l.event.serviceId);
  fact('Ended', l.event && l.event.endedAt && time(l.event.endedAt));
  fact('Stored', time(l.stored));
  fact('Event', l.origin.Sequence ? `${l.origin.Stream} ${l.origin.Sequence}${l.origin.Subject && ', on ' + l.origin.Subject}` : '');
  fact('Published', l.origin.Published.startsWith('0001') ? '' : time(l.origin.Published));
  fact('Deliveries', l.origin.Deliveries);
  fact('Message ID', l.origin.MessageID);
  fact('Replay of', l.replayOf);
  const parts = [list];
  const headers = Object.entries(l.headers).flatMap(([name, values]) => values.map(value => `${name}: ${value}`));
  if (headers.length) parts.push(el('h3', {}, 'Headers'), el('pre', {}, headers.join('\n')));
  parts.push(el('h3', {}, l.masked ? 'Payload and headers' : 'Payload'));
  if (l.masked) parts.push(el('p', {className: 'note'}, 'They may hold the session ID. ' + (state.canAct ? 'Sign in to see them.' : 'Set REVOKER_CONSOLE_TOKEN, then sign in to see them.')));
  else parts.push(el('pre', {}, l.payload || '(empty)'));
  if (l.encoding === 'base64') parts.push(el('p', {className: 'note'}, 'The payload is not text. It is shown as base64.'));
  if (l.cut) parts.push(el('p', {className: 'note'}, `${count(l.cut)} more bytes are not shown. The command revoker dlq show prints all.`));
  if (l.omitted) parts.push(el('p', {className: 'note'}, `${count(l.omitted)} bytes did not fit into the dead letter. The event itself may still be in its stream.`));
  return parts;
}

$('choose-all').onchange = e => {
  for (const box of $('letters-table').querySelectorAll('tbody input')) box.checked = e.target.checked;
  showActions();
};
for (const button of $('letters-actions').children) {
  button.onclick = () => {
    if (button.dataset.on === 'all') confirmAct(button.dataset.act, filter(), true, listed.total);
    else confirmAct(button.dataset.act, {sequences: chosen(), created: listed.created}, false, chosen().length);
  };
}
$('detail').addEventListener('close', () => { address.letter = 0; address.write(); });
$('letters-refresh').onclick = () => loadLetters();
$('filter').onsubmit = e => { e.preventDefault(); choose(); };
$('filter').onreset = () => setTimeout(choose);
