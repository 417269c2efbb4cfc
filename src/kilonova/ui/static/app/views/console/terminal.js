// SPDX-License-Identifier: Apache-2.0
/**
 * A terminal on the serial port of a guest.  What the guest prints stays in the terminal: it can neither set the title,
 * write the clipboard nor make links, because xterm.js does these only with add-ons and listeners that are not here.
 */
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import * as api from "../../api/servers.js";
import { html } from "../../html.js";
import { loadStyle, permitStyles } from "../../parts/styles.js";
import { sentence } from "../../parts/toast.js";
import { t } from "../../words/index.js";
import { socketAddress } from "./address.js";

const SCROLLBACK = 5000;
const STYLE = new URL("../../../vendor/@xterm/xterm/xterm.css", import.meta.url).href;

/** @typedef {"connecting" | "open" | "closed"} Phase */

/**
 * @param {{ id: string, address?: string, beside?: any }} props of the server; `address` is for the first opening, the API gives those of
 *   further ones
 */
export function SerialTerminal({ id, address, beside }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const phase = useSignal(/** @type {Phase} */ ("connecting"));
  const reason = useSignal("");
  const round = useSignal(0);
  useEffect(() => {
    const given = round.value === 0 ? address : undefined;
    if (place.current) return connect(id, given, place.current, (next, why) => ((phase.value = next), (reason.value = why)));
  }, [id, round.value]);
  return html`
    <div class="console-head" role="status"><span>${t(`serial.${phase.value}`)}</span>${reason.value && html`<span class="dim">${reason.value}</span>`}
      ${phase.value === "closed" && html`<button type="button" onClick=${() => (round.value += 1)}>${t("serial.again")}</button>`}<span class="bar-space"></span>${beside}</div>
    <div class="terminal" ref=${place}></div>
    <p class="dim">${t("serial.hint")}</p>`;
}

/**
 * @param {string} id
 * @param {string | undefined} given the address, where it is known
 * @param {HTMLElement} place
 * @param {(phase: Phase, reason: string) => void} tell
 */
function connect(id, given, place, tell) {
  const forbid = permitStyles();
  const terminal = new Terminal({ scrollback: SCROLLBACK, convertEol: false, cursorBlink: true, screenReaderMode: true });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  /** @type {WebSocket | null} */
  let socket = null;
  let ended = false;
  const resize = new ResizeObserver(() => fit.fit());
  const begin = async () => {
    await loadStyle(STYLE);
    if (ended) return;
    terminal.open(place);
    resize.observe(place);
    tell("connecting", "");
    socket = open(given ?? (await api.remoteConsole(id, "serial")), terminal, tell);
  };
  begin().catch((error) => tell("closed", sentence(error)));
  return () => {
    ended = true;
    resize.disconnect();
    socket?.close();
    terminal.dispose();
    forbid();
  };
}

/**
 * @param {string} address as the API gives it; its path and its token are used at the origin of the page
 * @param {Terminal} terminal
 * @param {(phase: Phase, reason: string) => void} tell
 */
function open(address, terminal, tell) {
  const socket = new WebSocket(socketAddress(address), ["binary"]);
  socket.binaryType = "arraybuffer";
  const encoder = new TextEncoder();
  socket.onopen = () => {
    tell("open", "");
    terminal.focus();
  };
  socket.onmessage = ({ data }) => terminal.write(new Uint8Array(data));
  socket.onclose = ({ reason }) => tell("closed", reason);
  terminal.onData((typed) => socket.readyState === WebSocket.OPEN && socket.send(encoder.encode(typed)));
  return socket;
}
