// Annotation page: keys press the buttons that carry them, active time is measured, and news is read out.
// Everything here is a convenience: without it the buttons are plain forms.
"use strict";

const IDLE_MS = 30000;
const KEYS_OFF = "assay-keys-off";

const form = document.querySelector("[data-timed]");
const help = document.querySelector("[data-help]");
const keySwitch = document.querySelector("#use-keys");

let sent = false;
let activeMs = 0;
let lastSeen = performance.now();
let lastTouched = lastSeen;
let wasInFront = !document.hidden;

// Time counts while the page is in front and something was touched in the last half minute.
function count() {
  const now = performance.now();
  if (wasInFront) activeMs += Math.max(0, Math.min(now, lastTouched + IDLE_MS) - lastSeen);
  lastSeen = now;
  wasInFront = !document.hidden;
}

function touched() {
  count();
  lastTouched = lastSeen;
}

function keysAreOn() {
  return keySwitch === null || keySwitch.checked;
}

function isTyping(target) {
  return target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
}

function press(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || isTyping(event.target)) return;
  const key = event.key?.toLowerCase();
  const button = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
  if (!button || !keysAreOn()) return;
  event.preventDefault();
  if (help && button.parentElement === help) {
    help.open = !help.open;
    button.focus();
  } else {
    button.click();
  }
}

function submitOnce(event) {
  if (sent) {
    event.preventDefault();
    return;
  }
  sent = true;
  count();
  if (event.target === form) form.elements.active_s.value = (activeMs / 1000).toFixed(1);
}

function readOut(region) {
  const text = region.textContent;
  region.textContent = "";
  window.setTimeout(() => {
    region.textContent = text;
  }, 150);
}

function rememberSwitch() {
  if (keySwitch.checked) window.localStorage.removeItem(KEYS_OFF);
  else window.localStorage.setItem(KEYS_OFF, "1");
}

document.addEventListener("keydown", press);
document.addEventListener("submit", submitOnce);
document.addEventListener("visibilitychange", touched);
for (const kind of ["pointermove", "pointerdown", "keydown", "wheel", "scroll", "touchstart"]) {
  document.addEventListener(kind, touched, { passive: true });
}
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});

document.querySelectorAll("[role=status]").forEach(readOut);
document.querySelector("[data-focus]")?.focus({ preventScroll: true });
if (keySwitch) {
  keySwitch.checked = window.localStorage.getItem(KEYS_OFF) === null;
  keySwitch.addEventListener("change", rememberSwitch);
  document.querySelector("[data-switch]").hidden = false;
}
