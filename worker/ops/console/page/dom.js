'use strict';
// This file has what the others share: elements, tables, and how numbers and times are written.

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

// line is a cell whose text is cut at the end of its line. All of it, or a longer text, shows up under the pointer.
function line(label, text, whole) {
  return cell(label, text === '–' ? text : el('span', {className: 'line', title: whole || text}, text), 'text');
}

// soon is a duration that is about to end.
const soon = s => s < 10 ? Math.max(s, 0).toFixed(1) + ' s' : duration(s);

function duration(s) {
  if (s < 60) return Math.round(s) + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min' + (s < 600 ? ' ' + Math.round(s % 60) + ' s' : '');
  if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min';
  return Math.floor(s / 86400) + ' d ' + Math.floor(s % 86400 / 3600) + ' h';
}

function short(value) {
  if (value === null || value === undefined) return '–';
  if (value >= 1e6) return trim(value / 1e6) + 'M';
  if (value >= 1e4) return trim(value / 1e3) + 'k';
  return trim(value);
}

function trim(value) {
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(value >= 10 ? 1 : 2).replace(/\.?0+$/, '');
}

// span is a time to revoked, from microseconds to days.
function span(s) {
  if (s < 1) return trim(s * 1000) + ' ms';
  return s < 10 ? trim(s) + ' s' : duration(s);
}

// shortSpan is the same beside an axis.
function shortSpan(s) {
  if (s < 1) return trim(s * 1000) + ' ms';
  if (s < 120) return trim(s) + ' s';
  return s < 10800 ? trim(s / 60) + ' min' : trim(s / 3600) + ' h';
}

const percent = share => trim(share >= .1 ? Math.round(100 * share) : Number((100 * share).toPrecision(2))) + '%';

// sentence is an error's text as one.
const sentence = text => text[0].toUpperCase() + text.slice(1) + (text.endsWith('.') ? '' : '.');

const plural = (n, what) => `${count(n)} ${what}${n === 1 ? '' : 's'}`;

// setText leaves an element alone that says so already. A selection in it stays, and a screen reader does not repeat it.
function setText(node, text) { if (node.textContent !== text) node.textContent = text; }

// fill brings the rows of a table up to date. It replaces only cells that changed, so that nothing jumps, and focus and selection stay.
// cells makes the cells of an item, and a row keeps its item's key.
function fill(body, items, key, cells, className) {
  const rows = new Map([...body.rows].map(row => [row.dataset.key, row]));
  let place = body.firstChild;
  for (const item of items) {
    const row = rows.get(key(item)) || el('tr', {});
    rows.delete(key(item));
    row.dataset.key = key(item);
    row.className = className ? className(item) : '';
    cells(item).forEach((td, i) => {
      if (!row.cells[i]) row.append(td);
      else if (!row.cells[i].isEqualNode(td)) row.cells[i].replaceWith(td);
    });
    if (row === place) place = place.nextSibling;
    else body.insertBefore(row, place);
  }
  for (const row of rows.values()) row.remove();
}
