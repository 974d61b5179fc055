'use strict';
// This file replays and discards dead letters: it counts them, asks, and shows how far it is.

const verbs = {replay: ['Replay', 'replayed', 'The event of each is published again. Then the dead letter is deleted.'],
  discard: ['Discard', 'discarded', 'Each is deleted for good. revoker will not revoke its session.']};

const typedFrom = 100; // letters: who discards more must type how many

// confirmAct counts the chosen letters, shows the count, and acts once the operator confirms.
async function confirmAct(act, selection, all, expected) {
  const [verb, done, meaning] = verbs[act];
  const dialog = $('confirm');
  $('confirm-title').textContent = `${verb} dead letters?`;
  $('confirm-body').replaceChildren(el('p', {}, 'Counting…'));
  for (const id of ['confirm-bar', 'confirm-progress', 'confirm-typed', 'confirm-open']) $(id).hidden = true;
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
  progress.hidden = $('confirm-bar').hidden = false;
  progress.textContent = 'Working…';
  $('confirm-bar').max = Math.max(total, 1);
  $('confirm-bar').value = 0;
  stopping = new AbortController();
  let last = {};
  try {
    const response = await fetch('console/sweep', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({action: act, selection, all}), signal: stopping.signal});
    if (!response.ok) throw new Error(await errorText(response));
    for await (last of lines(response.body)) {
      progress.textContent = progressText(last, total, done);
      $('confirm-bar').value = handled(last);
    }
    ended(last, total, done);
  } catch (err) {
    $('confirm-title').textContent = err.name === 'AbortError' ? 'Stopped' : 'Failed';
    progress.textContent = err.name === 'AbortError' ? `At least ${count(last.done || 0)} of ${count(total)} ${done}. What was done stays done.` : err.message;
  }
  stopping = null;
  $('confirm-open').hidden = $('confirm-bar').hidden = true;
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

// handled counts the letters that the sweep is done with, in one way or another.
const handled = p => p.done + p.gone + Object.values(p.refused || {}).reduce((sum, n) => sum + n, 0);

function progressText(p, total, done) {
  const refused = Object.entries(p.refused || {});
  let text = p.over ? `${count(p.done)} ${done}` : `${count(p.done)} of ${count(total)} ${done}…`;
  if (p.gone) text += `; ${count(p.gone)} were already gone`;
  for (const [reason, n] of refused) text += `; ${count(n)} not: ${reason}`;
  if (p.error) text += `; stopped by an error: ${p.error}`;
  return text + (p.over ? '.' : '');
}

// Stop and the Escape key leave the dialog open, so that it says what was done by then.
$('confirm-no').onclick = () => { if (stopping) stopping.abort(); else $('confirm').close(); };
$('confirm').addEventListener('cancel', e => { if (stopping) { e.preventDefault(); stopping.abort(); } });
$('confirm').addEventListener('close', () => { if (stopping) stopping.abort(); });
