// SPDX-License-Identifier: Apache-2.0
/**
 * A terminal on the serial port of a guest.  What the guest prints stays in the terminal: xterm.js sets a title and writes
 * the clipboard only with listeners and add-ons that are not here, and links are taken out.
 */
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import { useEffect, useRef } from "preact/hooks";
import { html } from "../../html.js";
import { loadStyle, permitStyles } from "../../parts/styles.js";
import { t } from "../../words/index.js";
import { socketAddress } from "./address.js";
import { useSession } from "./session.js";

const SCROLLBACK = 5000;
const PIECE_BYTES = 16384;
/** The sequence of a link (OSC 8).  xterm.js would open its address after a question. */
const LINK = 8;
const STYLE = new URL("../../../vendor/@xterm/xterm/xterm.css", import.meta.url).href;

/** @param {{ id: string, address?: string, beside?: any }} props of the server; `address` is for the first opening */
export function SerialTerminal({ id, address, beside }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const shown = useRef(/** @type {Terminal | null} */ (null));
  useEffect(() => (place.current ? show(place.current, shown) : undefined), []);
  const { phase, reason, again } = useSession({
    id, kind: "serial", address, open: (given, tell) => connect(given, /** @type {Terminal} */ (shown.current), tell),
  });
  return html`
    <div class="console-head"><span role="status">${t(`serial.${phase}`)} ${reason && html`<span class="dim">${reason}</span>`}</span>
      ${phase === "closed" && html`<button type="button" onClick=${again}>${t("serial.again")}</button>`}
      <span class="bar-space"></span>${beside}</div>
    <div class="terminal" ref=${place}></div>
    <p class="dim">${t("serial.hint")}</p>`;
}

/**
 * A terminal as large as its place, until the returned function is called.
 * @param {HTMLElement} place
 * @param {{ current: Terminal | null }} shown
 */
function show(place, shown) {
  const forbid = permitStyles();
  const terminal = new Terminal({ scrollback: SCROLLBACK, cursorBlink: true, screenReaderMode: true });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.parser.registerOscHandler(LINK, () => true);
  shown.current = terminal;
  const resize = new ResizeObserver(() => fit.fit());
  let ended = false;
  void loadStyle(STYLE).then(() => {
    if (ended) return;
    terminal.open(place);
    resize.observe(place);
  });
  return () => {
    ended = true;
    resize.disconnect();
    terminal.dispose();
    forbid();
  };
}

/** @param {string} address @param {Terminal} terminal @param {import("./session.js").Tell} tell */
function connect(address, terminal, tell) {
  const socket = new WebSocket(socketAddress(address), ["binary"]);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    tell("open");
    terminal.focus();
  };
  socket.onmessage = ({ data }) => terminal.write(new Uint8Array(data));
  socket.onclose = ({ reason, code }) => tell("closed", reason, code);
  const typing = terminal.onData((typed) => socket.readyState === WebSocket.OPEN && pieces(typed).forEach((piece) => socket.send(piece)));
  return () => {
    typing.dispose();
    socket.close();
  };
}

/** The bytes of a text, in messages that the service accepts. @param {string} text */
function pieces(text) {
  const bytes = new TextEncoder().encode(text);
  return Array.from({ length: Math.ceil(bytes.length / PIECE_BYTES) }, (_, index) => bytes.slice(index * PIECE_BYTES, (index + 1) * PIECE_BYTES));
}
