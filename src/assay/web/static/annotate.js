// Annotation page: keys press the buttons that carry them, the next item is fetched ahead, active time is measured,
// and news is read out. Everything here is a convenience: without it the buttons are plain forms.
"use strict";

const IDLE_MS = 30000;
const RENEW_MS = 300000;
const KEYS_OFF = "assay-keys-off";
const FROM_SCRIPT = { "X-Assay-Script": "1" };

let sent = false;
let activeMs = 0;
let lastSeen = performance.now();
let lastTouched = lastSeen;
let lastRenewed = lastSeen;
let wasInFront = !document.hidden;
let ahead = null; // the document of the item after this one, once it is here
let saving = null; // the answer on its way

const find = (selector) => document.querySelector(selector);

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
  if (lastTouched - lastRenewed > RENEW_MS) renew();
}

function send(form, action, submitter) {
  const fields = new URLSearchParams(new FormData(form, submitter));
  return fetch(action, { method: "POST", body: fields, headers: FROM_SCRIPT });
}

function renew() {
  const form = find("form.reply");
  lastRenewed = lastTouched;
  if (form) send(form, form.action.replace(/answer$/, "renew")).catch(() => {});
}

function keysAreOn() {
  const keySwitch = find("#use-keys");
  return keySwitch === null || keySwitch.checked;
}

function isTyping(target) {
  return target.matches("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
}

function press(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || isTyping(event.target) || !keysAreOn()) return;
  const key = event.key?.toLowerCase();
  if (answerStrip(key) || submitByEnter(event, key)) {
    event.preventDefault();
    return;
  }
  const button = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
  if (!button) return;
  event.preventDefault();
  if (button.localName === "summary") openTool(button.parentElement, button);
  else if (button.closest("details:not([open])")) openTool(button.closest("details"), button);
  else button.click();
}

// A digit answers the strip in focus, or the first one that waits, and goes on to the next.
function answerStrip(key) {
  if (!/^[1-9]$/.test(key)) return false;
  const strips = [...document.querySelectorAll("[data-strip]")];
  const focused = document.activeElement.closest("[data-strip]");
  const strip = focused ?? strips.find((one) => !one.querySelector(":checked"));
  const radio = strip?.querySelector(`[data-digit="${key}"]`);
  if (!radio) return false;
  radio.checked = true;
  const next = strips[strips.indexOf(strip) + 1];
  (next?.querySelector(":checked") ?? next?.querySelector("input") ?? find("[data-submit]")).focus();
  return true;
}

function submitByEnter(event, key) {
  const submit = find("[data-submit]");
  if (key !== "enter" || !submit || event.target.closest("button, a, summary")) return false;
  submit.form.requestSubmit(submit);
  return true;
}

function openTool(tool, from) {
  const marked = tool.dataset.tool === "c" ? markedPassage() : null;
  tool.open = from.localName !== "summary" || !tool.open || marked !== null;
  if (!tool.open) {
    from.focus();
    return;
  }
  if (marked) fillCritique(tool, marked);
  else if (tool.hasAttribute("data-help")) from.focus();
  else tool.querySelector("select, textarea").focus();
}

// The words selected in one answer, and which answer it is.
function markedPassage() {
  const selection = window.getSelection();
  const words = selection.toString().trim();
  const answer = selection.anchorNode?.parentElement?.closest("[data-place]");
  return words && answer?.contains(selection.focusNode) ? { words, place: answer.dataset.place } : null;
}

function fillCritique(tool, marked) {
  const free = [...tool.querySelectorAll(".critique")].find((one) => one.querySelector("[data-quote]").value === "");
  if (!free) return;
  free.querySelector("[data-quote]").value = marked.words;
  free.querySelector("[data-quote-place]").value = marked.place;
  window.getSelection().removeAllRanges();
  free.querySelectorAll("select")[1].focus();
}

function startEdit() {
  const edit = find("[data-edit]");
  const originals = [...document.querySelectorAll("[data-original]")];
  const texts = originals.map((one) => one.content.textContent);
  if (edit.value === "" || texts.includes(edit.value)) edit.value = texts[Number(find("#edit-place").value)];
}

function submitted(event) {
  const form = event.target;
  if (event.submitter?.hasAttribute("data-diff")) {
    event.preventDefault();
    showDiff(form, event.submitter);
    return;
  }
  if (sent) {
    event.preventDefault();
    return;
  }
  if (saving) {
    event.preventDefault();
    saving.then(() => form.requestSubmit(event.submitter));
    return;
  }
  count();
  if (form.matches("[data-timed]")) {
    form.elements.active_s.value = (activeMs / 1000).toFixed(1);
    if (ahead) {
      event.preventDefault();
      saveAndGoOn(form, event.submitter);
      return;
    }
  }
  sent = true;
}

async function showDiff(form, submitter) {
  const answer = await send(form, submitter.formAction).catch(() => null);
  find("[data-diff-here]").innerHTML = answer?.ok ? await answer.text() : "The changes could not be shown.";
}

// The item that is ready is shown at once, while the answer is stored.
function saveAndGoOn(form, submitter) {
  const here = form.action.replace(/\/answer$/, "");
  const request = send(form, form.action, submitter);
  show(ahead);
  ahead = null;
  saving = request
    .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status)))))
    .then((stored) => {
      saving = null;
      if (stored.question) {
        show(new DOMParser().parseFromString(stored.question, "text/html")); // personal data: nothing is stored yet
        return;
      }
      if (stored.is_gone) window.location.assign(`${here}?said=gone`);
      readOut(find("[role=status]"), stored.notice);
      fetchAhead();
    })
    .catch(() => window.location.assign(`${here}?said=lost`));
}

function show(page) {
  document.title = page.title;
  find(".where").replaceWith(document.adoptNode(page.querySelector(".where")));
  find("main").replaceWith(document.adoptNode(page.querySelector("main")));
  window.scrollTo(0, 0);
  activeMs = 0;
  lastSeen = lastTouched = performance.now();
  prepare();
}

async function fetchAhead() {
  const form = find("form.reply");
  if (!form) return;
  try {
    const answer = await fetch(form.action.replace(/answer$/, "ahead"));
    if (answer.status !== 200) return;
    const text = await answer.text();
    if (!saving && find("form.reply") === form) ahead = new DOMParser().parseFromString(text, "text/html");
  } catch {
    // Without it the next item comes by a plain redirect.
  }
}

function readOut(region, text) {
  region.textContent = "";
  window.setTimeout(() => {
    region.textContent = text;
  }, 150);
}

function rememberSwitch() {
  if (find("#use-keys").checked) window.localStorage.removeItem(KEYS_OFF);
  else window.localStorage.setItem(KEYS_OFF, "1");
}

// What has to be done for each item that is shown.
function prepare() {
  find("[data-focus]")?.focus({ preventScroll: true });
  const keySwitch = find("#use-keys");
  if (keySwitch) {
    keySwitch.checked = window.localStorage.getItem(KEYS_OFF) === null;
    keySwitch.addEventListener("change", rememberSwitch);
    find("[data-switch]").hidden = false;
  }
  find("[data-tool=e]")?.addEventListener("toggle", startEdit);
  find("#edit-place")?.addEventListener("change", startEdit);
}

document.addEventListener("keydown", press);
document.addEventListener("submit", submitted);
document.addEventListener("visibilitychange", touched);
for (const kind of ["pointermove", "pointerdown", "keydown", "wheel", "scroll", "touchstart"]) {
  document.addEventListener(kind, touched, { passive: true });
}
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});

document.querySelectorAll("[role=status]").forEach((region) => readOut(region, region.textContent));
prepare();
fetchAhead();
