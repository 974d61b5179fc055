'use strict';
// This file shows the dead letters: the groups, the list and one letter with all its facts. It also replays and discards them.
// Whatever comes from a letter enters the page as text.

function $(id) { return document.getElementById(id); }

function el(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

const count = n => Number(n).toLocaleString();
// Times are UTC and say so, as in the commands: 2026-01-02T03:04:05Z.
const time = t => new Date(t).toISOString().slice(0, 19) + 'Z';
const clock = t => time(t).slice(11);

// cell is one of a table. Its label is shown where the table is too wide for its columns.
function cell(label, content, className) {
  const td = el('td', {className: (className || '') + (content === '–' ? ' none' : '')}, content);
  td.dataset.label = label;
  return td;
}

// line is a cell whose text is cut at the end of its line. All of it shows up under the pointer.
function line(label, text) {
  return cell(label, text === '–' ? text : el('span', {className: 'line', title: text}, text), 'text');
}

// soon is a duration that is about to end.
const soon = s => s < 10 ? Math.max(s, 0).toFixed(1) + ' s' : duration(s);

function duration(s) {
  if (s < 60) return Math.round(s) + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min' + (s < 600 ? ' ' + Math.round(s % 60) + ' s' : '');
  if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min';
  return Math.floor(s / 86400) + ' d ' + Math.floor(s % 86400 / 3600) + ' h';
}

let listed = null; // the list on the page
let wanted = {}; // the filter
let shownState = ''; // the stream's state when the list was requested
let loading = 0;
let loadedAt = 0;
const reloadEvery = 5000; // ms, while dead letters come

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
  const now = lettersState();
  return now && now !== shownState && loading === 0 && Date.now() - loadedAt >= reloadEvery &&
    !chosen().length && !$('letters-table').contains(document.activeElement);
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
  showGroups();
  const body = $('letters-table').tBodies[0];
  body.replaceChildren(...listed.letters.map(l => row(l, kept.includes(l.sequence))));
  $('choose-all').checked = false;
  $('letters-table').hidden = listed.total === 0;
  $('letters-empty').hidden = listed.total !== 0;
  $('letters-empty').textContent = Object.keys(wanted).length ? 'No dead letter matches the filter.' : 'No dead letters. Every event was revoked or still waits.';
  const some = listed.letters.length < listed.total ? `, the newest ${count(listed.letters.length)} are shown` : '';
  $('letters-count').textContent = `${count(listed.total)} dead letter${listed.total === 1 ? '' : 's'}${Object.keys(wanted).length ? ' match' : ''}${some}${listed.partial ? `; letters before sequence ${count(listed.first)} are not counted` : ''}`;
  showActions();
}

function showGroups() {
  $('groups').replaceChildren(...listed.groups.map(g => {
    const form = $('filter');
    const button = el('button', {type: 'button', title: `oldest ${time(g.oldest)}, newest ${time(g.newest)}`},
      el('span', {}, el('b', {}, count(g.count)), ' ' + (g.reason || 'no reason')), el('small', {}, (g.resultCode || 'no result code') + ' · newest ' + time(g.newest)));
    const code = g.resultCode === '(other)' ? '' : g.resultCode || '-';
    const reason = g.reason === '(other)' ? '' : g.reason;
    button.setAttribute('aria-pressed', (reason || code) !== '' && form.reason.value === reason && form.code.value === code);
    button.onclick = () => {
      const on = button.getAttribute('aria-pressed') === 'true';
      form.reason.value = on ? '' : reason;
      form.code.value = on ? '' : code;
      loadLetters();
    };
    return button;
  }));
}

function row(l, checked) {
  const box = el('input', {type: 'checkbox', value: l.sequence, checked});
  box.setAttribute('aria-label', `Choose ${l.sequence}`);
  box.onchange = showActions;
  const open = el('button', {type: 'button', className: 'open', onclick: e => { e.stopPropagation(); showDetail(l.sequence); }}, String(l.sequence));
  open.setAttribute('aria-label', `Show dead letter ${l.sequence}`);
  const choice = cell('Choose', box);
  choice.onclick = e => e.stopPropagation();
  const tr = el('tr', {className: 'pick'}, choice, cell('Sequence', open), cell('Stored', time(l.stored)), cell('Reason', l.reason || '–'),
    cell('Code', l.resultCode || '–'), cell('Session', l.session || '–', 'id'), line('Error', l.brief));
  tr.onclick = () => showDetail(l.sequence);
  return tr;
}

function chosen() { return [...$('letters-table').querySelectorAll('tbody input:checked')].map(box => Number(box.value)); }

function showActions() {
  const may = state && state.signedIn && listed && listed.total > 0;
  $('letters-actions').hidden = !may;
  const n = chosen().length;
  for (const button of document.querySelectorAll('[data-on=chosen]')) button.disabled = n === 0;
}

async function showDetail(sequence) {
  const dialog = $('detail');
  $('detail-title').textContent = `Dead letter ${sequence}`;
  $('detail-body').replaceChildren(el('p', {className: 'empty'}, 'Loading…'));
  $('detail-actions').hidden = true;
  if (!dialog.open) dialog.showModal();
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

const verbs = {replay: ['Replay', 'replayed', 'The event of each is published again. Then the dead letter is deleted.'],
  discard: ['Discard', 'discarded', 'Each is deleted for good. revoker will not revoke its session.']};

const typedFrom = 100; // letters: who discards more must type how many

// confirmAct counts the chosen letters, shows the count, and acts once the operator confirms.
async function confirmAct(act, selection, all, expected) {
  const [verb, done, meaning] = verbs[act];
  const dialog = $('confirm');
  $('confirm-title').textContent = `${verb} dead letters?`;
  $('confirm-body').replaceChildren(el('p', {}, 'Counting…'));
  for (const id of ['confirm-progress', 'confirm-typed', 'confirm-open']) $(id).hidden = true;
  const yes = $('confirm-yes');
  yes.hidden = false;
  yes.disabled = true;
  yes.textContent = verb;
  yes.className = act === 'discard' ? 'danger' : '';
  $('confirm-no').textContent = 'Cancel';
  dialog.showModal();
  try {
    const dry = await (await post('console/letters', {...selection, exact: true})).json();
    const what = `${count(dry.total)} dead letter${dry.total === 1 ? '' : 's'}`;
    $('confirm-title').textContent = `${verb} ${what}?`;
    const lines = dry.groups.map(g => el('li', {}, `${count(g.count)} × ${g.reason || 'no reason'}, ${g.resultCode || 'no result code'}`));
    $('confirm-body').replaceChildren(el('p', {}, meaning), el('ul', {}, ...lines));
    if (dry.total < expected) $('confirm-body').append(el('p', {className: 'note'}, `${count(expected - dry.total)} of the letters you chose are gone.`));
    yes.textContent = `${verb} ${count(dry.total)}`;
    yes.disabled = dry.total === 0;
    if (act === 'discard' && dry.total > typedFrom) askCount(dry.total);
    if (dry.partial && !selection.sequences) $('confirm-body').append(el('p', {className: 'note'}, `Letters before sequence ${count(dry.first)} are not counted. They stay.`));
    yes.onclick = () => perform(act, {...selection, first: dry.first, last: dry.last, created: dry.created}, all, dry.total, done);
    ($('confirm-typed').hidden ? yes : $('confirm-count')).focus();
  } catch (err) {
    $('confirm-body').replaceChildren(el('p', {className: 'error'}, err.message));
  }
}

// askCount lets the operator act only once the count is typed. Separators do not matter.
function askCount(total) {
  $('confirm-typed-text').textContent = `To discard so many, type ${total}`;
  $('confirm-typed').hidden = false;
  $('confirm-yes').disabled = true;
  $('confirm-count').value = '';
  $('confirm-count').oninput = e => { $('confirm-yes').disabled = e.target.value.replace(/[^0-9]/g, '') !== String(total); };
}

let stopping = null;

// The worker stops as soon as nobody listens to its progress, so the browser asks before it closes the page.
addEventListener('beforeunload', e => { if (stopping) e.preventDefault(); });

async function perform(act, selection, all, total, done) {
  const progress = $('confirm-progress');
  $('confirm-yes').hidden = $('confirm-typed').hidden = true;
  $('confirm-no').textContent = 'Stop';
  $('confirm-open').hidden = false;
  $('confirm-open').textContent = `Keep this page open. It stops when you close the page, the dialog or the worker; what is ${done} by then stays ${done}.`;
  progress.hidden = false;
  progress.textContent = 'Working…';
  stopping = new AbortController();
  try {
    const response = await fetch('console/sweep', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({action: act, selection, all}), signal: stopping.signal});
    if (!response.ok) throw new Error(await errorText(response));
    let last = {};
    for await (last of lines(response.body)) progress.textContent = progressText(last, total, done);
    ended(last, total, done);
  } catch (err) {
    $('confirm-title').textContent = err.name === 'AbortError' ? 'Stopped' : 'Failed';
    progress.textContent = err.name === 'AbortError' ? 'What was done stays done.' : err.message;
  }
  stopping = null;
  $('confirm-open').hidden = true;
  $('confirm-body').replaceChildren();
  $('confirm-no').textContent = 'Close';
  $('confirm-no').focus();
  if ($('detail').open) $('detail').close();
  for (const box of $('letters-table').querySelectorAll('tbody input:checked')) box.checked = false;
  loadLetters();
}

// ended tells in the dialog's title what came of it, where the question was.
function ended(last, total, done) {
  if (!last.over) throw new Error('the worker ended before it was done. What was done stays done.');
  $('confirm-title').textContent = last.done === total ? `${count(total)} dead letter${total === 1 ? '' : 's'} ${done}` : `${count(last.done)} of ${count(total)} dead letters ${done}`;
}

async function* lines(body) {
  let rest = '';
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    rest += value;
    const parts = rest.split('\n');
    rest = parts.pop();
    for (const part of parts) if (part) yield JSON.parse(part);
  }
}

function progressText(p, total, done) {
  const refused = Object.entries(p.refused || {});
  let text = p.over ? `${count(p.done)} ${done}` : `${count(p.done)} of ${count(total)} ${done}…`;
  if (p.gone) text += `; ${count(p.gone)} were already gone`;
  for (const [reason, n] of refused) text += `; ${count(n)} not: ${reason}`;
  if (p.error) text += `; stopped by an error: ${p.error}`;
  return text + (p.over ? '.' : '');
}

$('confirm').addEventListener('close', () => { if (stopping) stopping.abort(); });
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
$('letters-refresh').onclick = () => loadLetters();
$('filter').onsubmit = e => { e.preventDefault(); loadLetters(); };
$('filter').onreset = () => setTimeout(loadLetters);
