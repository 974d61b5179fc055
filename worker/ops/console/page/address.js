'use strict';
// This file keeps what is chosen on the page in its address, so that a link can be shared: the filter of the dead letters, the letter
// that is open, and the outcome that is followed. A session ID never gets there: of a session it has the mask, as the worker told it.

const address = {
  letter: 0, // the dead letter that is open

  // read takes over what the address says, where it is one of the choices.
  read() {
    const query = new URLSearchParams(location.search), form = $('filter');
    const choose = (select, value) => { if ([...select.options].some(o => (o.value || o.text) === value)) select.value = value; };
    choose(form.reason, query.get('reason'));
    choose(form.since, query.get('since'));
    choose($('tail-outcome'), query.get('outcome'));
    if (codeForm.test(query.get('code') || '')) form.code.value = query.get('code');
    if (maskForm.test(query.get('session') || '')) form.session.value = query.get('session');
    this.letter = Number(query.get('letter')) || 0;
  },

  // write says in the address what is chosen. What somebody typed goes there only in the form of a result code.
  write() {
    const query = new URLSearchParams(), form = $('filter');
    const put = (name, value) => { if (value) query.set(name, value); };
    put('reason', form.reason.value);
    if (codeForm.test(form.code.value.trim())) put('code', form.code.value.trim());
    put('since', form.since.value);
    put('session', this.mask());
    put('outcome', $('tail-outcome').value);
    put('letter', this.letter ? String(this.letter) : '');
    const text = query.toString();
    if (text !== location.search.slice(1)) history.replaceState(null, '', text ? '?' + text : location.pathname);
  },

  // mask is that of the session that the list was filtered by. Twelve digits that somebody typed may be an ID, so only the worker's word
  // counts. It is empty if no letter was found.
  mask() {
    if (!$('filter').session.value.trim() || !listed || !wanted.session || $('filter').session.value.trim() !== wanted.session) return '';
    const found = new Set(listed.letters.map(l => l.session));
    return found.size === 1 ? [...found][0] : '';
  },
};

const codeForm = /^(-|[A-Z]{1,3}[0-9]{1,9})$/;
const maskForm = /^[0-9a-f]{12}$/;
