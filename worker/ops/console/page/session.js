'use strict';
// This file finds one session: what became of it, and what happened to it in the order of time.

const attempts = n => plural(n, 'attempt');

// sessionState is the answer in a sentence, without its full stop. "Not found" never says that a session is not revoked.
function sessionState(a) {
  switch (a.state) {
    case 'revoked': return 'Revoked at ' + time(a.receipt.revokedAt);
    case 'queued': return 'Queued: not tried yet';
    case 'waiting': return 'Waiting for its next attempt at ' + time(a.event.nextAttempt.due);
    case 'delivered': return 'Delivered: in work, or waiting for its next attempt';
    case 'dead-letter': return 'A dead letter';
  }
  const since = a.oldestReceipt ? 'No receipt since ' + time(a.oldestReceipt) + ', the oldest that is kept' : 'No receipt';
  return since + '. The session may be revoked all the same, or unknown';
}

// sessionEvents are what is known, as [time, text].
function sessionEvents(a) {
  const list = [];
  if (a.receipt) {
    const r = a.receipt;
    const after = r.msSinceEnded === undefined ? r.msSincePublished + ' ms after the event' : r.msSinceEnded + ' ms after the logout';
    list.push([r.publishedAt, `event ${r.sequence} published` + (r.source ? ' by ' + r.source : '')]);
    list.push([r.revokedAt, `revoked: ${plural(r.tokensDeleted, 'token')} deleted, ${attempts(r.attempts)}, ${after}`]);
  }
  for (const l of a.deadLetters) {
    list.push([l.published, 'event published']);
    list.push([l.stored, `dead letter ${l.sequence}: ${l.reason} ${l.resultCode || ''}, ${attempts(l.attempts)}`]);
  }
  if (a.event) {
    const next = a.event.nextAttempt;
    list.push([a.event.published, `event ${a.event.sequence} published, ${a.event.lane} lane`]);
    if (next) list.push([next.due, `next attempt, after ${attempts(next.attempts)}` + (next.status ? `; the last answer was HTTP ${next.status} ${next.resultCode || ''}` : '')]);
  }
  return list.sort((x, y) => new Date(x[0]) - new Date(y[0]));
}

function partly(what, looked) {
  return looked && looked.at < looked.of ? ` Looked at ${count(looked.at)} of ${count(looked.of)} ${what}.` : '';
}

$('session-form').addEventListener('submit', async event => {
  event.preventDefault();
  const form = event.target, say = text => { $('session-state').textContent = text; };
  $('session-events').replaceChildren();
  say('Searching…');
  try {
    const a = await (await post('console/session', {[form.by.value]: form.session.value.trim()})).json();
    const unseen = a.state === 'revoked' || a.event ? '' : partly('events that may wait', a.eventsLookedAt) + partly('dead letters', a.deadLettersLookedAt);
    say(sessionState(a) + '.' + unseen + (a.unknown || []).map(u => ' Unknown: ' + u + '.').join(''));
    $('session-events').replaceChildren(...sessionEvents(a).map(([at, text]) => el('li', {}, time(at) + ' ' + text)));
  } catch (err) {
    say('Not found out: ' + err.message);
  }
});
