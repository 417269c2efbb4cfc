// SPDX-License-Identifier: Apache-2.0
/** How a text is typed on the keyboard of a guest: the keys of each character in the guest's layout, at the pace of QEMU. */
import { KEYS, LAYOUTS } from "./layouts.js";

/** @typedef {{ code: string, level: number }} Key `level`: 1 with Shift, 2 with AltGr, 3 with both */
/** @typedef {{ code: string, keysym: number, down: boolean }} Stroke `keysym`: X11's number, for a server that takes no codes; 0 is none */
/** @typedef {{ sendKey: (keysym: number, code: string, down: boolean) => void }} Keyboard */

/**
 * QEMU's VNC server gives the guest one event of a key every 10 ms.  It keeps some 340 events that wait, and drops further
 * ones without a word (QEMU: ui/vnc.c, key-delay-ms; ui/input.c, queue_limit).
 */
const EVENT_MS = 11;
const MOST_WAITING = 100;
const TICK_MS = 50;

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
 * The events of the keys for each character, and at the end those that release what is held.
 * @param {string} text without missing characters
 * @param {string} layout
 * @returns {Stroke[][]}
 */
export function strokes(text, layout) {
  const keys = keysOf(layout);
  let held = 0;
  /** @param {number} level @returns {Stroke[]} */
  const hold = (level) => {
    const changed = MODIFIERS.filter((each) => (held ^ level) & each.level).map(({ code, keysym, level: own }) => ({ code, keysym, down: (level & own) !== 0 }));
    held = level;
    return changed.sort((a, b) => Number(a.down) - Number(b.down));
  };
  const found = [...typed(text)].map((character) =>
    (combination(keys, character) ?? []).flatMap((key, index, all) => {
      const keysym = index === all.length - 1 ? keysymOf(character) : 0;
      return [...hold(key.level), { code: key.code, keysym, down: true }, { code: key.code, keysym, down: false }];
    }),
  );
  return [...found, hold(0)];
}

/**
 * Type strokes, no faster than the guest gets them.  Throws the signal's reason when it is aborted; modifiers are released then.
 * @param {Keyboard} keyboard
 * @param {Stroke[][]} all
 * @param {{ signal: AbortSignal, tell: (characters: number) => void }} how
 */
export async function type(keyboard, all, { signal, tell }) {
  const lift = () => MODIFIERS.forEach(({ keysym, code }) => keyboard.sendKey(keysym, code, false));
  signal.addEventListener("abort", lift, { once: true });
  let free = MOST_WAITING;
  let then = performance.now();
  for (const [index, character] of all.entries()) {
    while (free < character.length && !signal.aborted) {
      tell(index);
      await new Promise((done) => setTimeout(done, TICK_MS));
      const now = performance.now();
      free = Math.min(MOST_WAITING, free + (now - then) / EVENT_MS);
      then = now;
    }
    signal.throwIfAborted();
    free -= character.length;
    for (const { keysym, code, down } of character) keyboard.sendKey(keysym, code, down);
  }
  signal.removeEventListener("abort", lift);
}

/** The time that strokes take, in milliseconds. @param {Stroke[][]} all */
export const timeOf = (all) => all.reduce((sum, character) => sum + character.length, 0) * EVENT_MS;

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
