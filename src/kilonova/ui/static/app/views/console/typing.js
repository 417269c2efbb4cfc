// SPDX-License-Identifier: Apache-2.0
/** How a text is typed on the keyboard of a guest: the keys of each character in the guest's layout, as fast as it reads. */
import { KEYS, LAYOUTS } from "./layouts.js";

/** @typedef {{ code: string, level: number }} Key `level`: 1 with Shift, 2 with AltGr, 3 with both */
/** @typedef {{ code: string, keysym: number, down: boolean }} Stroke `keysym`: X11's number, for a server that takes no codes; 0 is none */
/** @typedef {{ strokes: Stroke[], characters: number }} Portion what the keyboard of a guest keeps at once; it holds no key at its end */
/**
 * @typedef {object} Keyboard
 * @property {(keysym: number, code: string, down: boolean) => void} sendKey
 * @property {() => boolean | null} capsLock whether its lamp is lit, as the guest has set it; null when the server does not report it
 * @property {() => void} forgetCapsLock `capsLock` is null until the next report
 */

/** A keyboard of a PC keeps 16 bytes that the guest has not read, and drops further ones without a word (QEMU: hw/input/ps2.c). */
const MOST_BYTES = 12;
/** QEMU's VNC server passes one event of a key every 10 ms to the keyboard (ui/vnc.c, key-delay-ms). */
const EVENT_MS = 10;
/** The same for a guest that does not report what it has read: it may stand still for a third of a second. */
const UNREAD_EVENT_MS = 25;
const LOOK_MS = 10;
const FIRST_ANSWER_MS = 1500;
const MOST_ANSWER_MS = 30000;
/** Four events and the way to the guest and back, twice. */
const ANSWER_MS = 70;

const CAPS_LOCK = { code: "CapsLock", keysym: 0xffe5 };
const MODIFIERS = [{ level: 1, code: "ShiftLeft", keysym: 0xffe1 }, { level: 2, code: "AltRight", keysym: 0xfe03 }];
const UNICODE = 0x01000000;
/** Keysyms of characters that are none of Unicode's there. @type {Record<string, number>} */
const KEYSYMS = { "\n": 0xff0d, "\t": 0xff09 };
/** Characters that a dead key and the space bar type in every system. @type {Record<string, string>} */
const WITH_SPACE = { "^": "\u0302", "`": "\u0300", "~": "\u0303" };

/** A text as it is typed: a line ends with Enter, and a letter with its accent is one character. @param {string} text */
export const typed = (text) => text.replace(/\r\n?/g, "\n").normalize("NFC");

/** The characters of a text that a layout cannot type, each once. @param {string} text @param {string} layout */
export function missing(text, layout) {
  const keys = keysOf(layout);
  return [...new Set(typed(text))].filter((character) => !combination(keys, character));
}

/**
 * The events of the keys, in portions.
 * @param {string} text without missing characters
 * @param {string} layout
 * @returns {Portion[]}
 */
export function portions(text, layout) {
  const keys = keysOf(layout);
  /** @type {Portion[]} */
  const found = [];
  let open = { strokes: /** @type {Stroke[]} */ ([]), characters: 0, held: 0 };
  const close = () => {
    if (open.characters > 0) found.push({ strokes: [...open.strokes, ...change(open.held, 0)], characters: open.characters });
    open = { strokes: [], characters: 0, held: 0 };
  };
  for (const character of typed(text)) {
    const combined = combination(keys, character) ?? [];
    const level = combined.at(-1)?.level ?? 0;
    if (bytes([...open.strokes, ...press(combined, character, open.held), ...change(level, 0)]) > MOST_BYTES) close();
    open.strokes.push(...press(combined, character, open.held));
    open.characters += 1;
    open.held = level;
  }
  close();
  return found;
}

/** @param {Key[]} combined @param {string} character @param {number} held the level before @returns {Stroke[]} */
const press = (combined, character, held) =>
  combined.flatMap(({ code, level }, index) => {
    const keysym = index === combined.length - 1 ? keysymOf(character) : 0;
    const before = index === 0 ? held : (combined[index - 1]?.level ?? 0);
    return [...change(before, level), { code, keysym, down: true }, { code, keysym, down: false }];
  });

/** The modifiers that differ between two levels, first those that go up. @param {number} from @param {number} to @returns {Stroke[]} */
const change = (from, to) =>
  MODIFIERS.filter((each) => (from ^ to) & each.level)
    .map(({ code, keysym, level }) => ({ code, keysym, down: (to & level) !== 0 }))
    .sort((a, b) => Number(a.down) - Number(b.down));

/** What events need in the keyboard; AltGr has a prefix. @param {Stroke[]} strokes */
const bytes = (strokes) => strokes.reduce((sum, { code }) => sum + (code === "AltRight" ? 2 : 1), 0);

/** The end of the last cancelled paste. */
let settled = Promise.resolve();

/**
 * Type portions, each when the guest has read the one before.  Throws the signal's reason when it is aborted, and an Error when the guest
 * reads no more; no key is held then.
 * @param {Keyboard} keyboard
 * @param {Portion[]} all
 * @param {{ signal: AbortSignal, tell: (characters: number) => void, unread: string }} how `unread`: the sentence of that error
 */
export async function type(keyboard, all, { signal, tell, unread }) {
  await settled;
  signal.throwIfAborted();
  signal.addEventListener("abort", () => (settled = settle(keyboard)), { once: true });
  if (keyboard.capsLock()) tap(keyboard);
  const answers = keyboard.capsLock() !== null && (await hasRead(keyboard, FIRST_ANSWER_MS, signal));
  let done = 0;
  for (const { strokes, characters } of all) {
    signal.throwIfAborted();
    for (const { keysym, code, down } of strokes) keyboard.sendKey(keysym, code, down);
    if (!answers) await pause(strokes.length * UNREAD_EVENT_MS);
    else if (!(await hasRead(keyboard, MOST_ANSWER_MS, signal))) throw new Error(unread);
    done += characters;
    tell(done);
  }
}

/** The time that portions take, in milliseconds. @param {Portion[]} all */
export const timeOf = (all) => all.reduce((sum, { strokes }) => sum + strokes.length * EVENT_MS + ANSWER_MS, 0);

/**
 * Whether the guest has read everything: Caps Lock is pressed twice, and a guest that reads it sets the lamp, which the server reports.
 * Caps Lock is off afterwards.
 * @param {Keyboard} keyboard @param {number} most @param {AbortSignal} signal
 */
async function hasRead(keyboard, most, signal) {
  let isLit = false;
  const back = () => tap(keyboard);
  tap(keyboard);
  signal.addEventListener("abort", back, { once: true }); // at once: the next key may be the user's
  try {
    isLit = await becomes(() => keyboard.capsLock() === true, most, signal);
  } finally {
    signal.removeEventListener("abort", back);
    if (!signal.aborted) back();
  }
  return isLit && becomes(() => keyboard.capsLock() === false, most, signal);
}

/**
 * Until the guest has turned the lamp off after a cancelled paste, a report that it is lit is out of date: the viewer would press Caps
 * Lock before the user's next key, to turn it off once more.
 * @param {Keyboard} keyboard
 */
async function settle(keyboard) {
  const most = keyboard.capsLock() === null ? FIRST_ANSWER_MS : MOST_ANSWER_MS;
  const begun = Date.now();
  do {
    keyboard.forgetCapsLock();
    await pause(LOOK_MS);
  } while (keyboard.capsLock() !== false && Date.now() - begun < most);
}

/** @param {Keyboard} keyboard */
function tap(keyboard) {
  for (const down of [true, false]) keyboard.sendKey(CAPS_LOCK.keysym, CAPS_LOCK.code, down);
}

/** @param {() => boolean} condition @param {number} most @param {AbortSignal} signal */
async function becomes(condition, most, signal) {
  for (const begun = Date.now(); Date.now() - begun < most; await pause(LOOK_MS)) {
    signal.throwIfAborted();
    if (condition()) return true;
  }
  return false;
}

/** @param {number} time in milliseconds */
const pause = (time) => new Promise((done) => setTimeout(done, time));

/** The keys of a layout, by what they type. @param {string} layout @returns {Map<string, Key>} */
function keysOf(layout) {
  /** @type {Map<string, Key>} */
  const found = new Map([["\n", { code: "Enter", level: 0 }], ["\t", { code: "Tab", level: 0 }], [" ", { code: "Space", level: 0 }]]);
  for (const [level, characters] of (LAYOUTS[layout] ?? []).entries()) {
    for (const [index, character] of [...characters].entries()) {
      if (!found.has(character)) found.set(character, { code: KEYS[index] ?? "", level });
    }
  }
  return found;
}

/** The keys that type a character, one after the other; null when there are none. @param {Map<string, Key>} keys @param {string} character */
function combination(keys, character) {
  if (/\p{M}/u.test(character)) return null;
  const own = keys.get(character);
  if (own) return [own];
  const [base = "", mark = "", more] = WITH_SPACE[character] ? [" ", WITH_SPACE[character]] : character.normalize("NFD");
  const [dead, letter] = [keys.get(mark), keys.get(base)];
  return dead && letter && more === undefined ? [dead, letter] : null;
}

/** @param {string} character */
function keysymOf(character) {
  const code = character.codePointAt(0) ?? 0;
  return KEYSYMS[character] ?? (code < 0x100 ? code : UNICODE + code);
}
