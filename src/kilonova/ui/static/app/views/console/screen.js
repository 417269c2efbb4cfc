// SPDX-License-Identifier: Apache-2.0
/** The screen of a guest, by noVNC over the websocket of its console. */
import RFB from "@novnc/novnc";
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { html } from "../../html.js";
import { Icon } from "../../parts/icon.js";
import { t } from "../../words/index.js";
import { socketAddress } from "./address.js";
import { openPaste } from "./paste.js";
import { useSession } from "./session.js";

/**
 * @param {object} props
 * @param {string} props.id of the server
 * @param {string} [props.address] for the first opening
 * @param {any} [props.beside] further buttons
 */
export function Screen({ id, address, beside }) {
  const frame = useRef(/** @type {HTMLDivElement | null} */ (null));
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const rfb = useRef(/** @type {RFB | null} */ (null));
  const viewOnly = useSignal(false);
  const { phase, reason, again } = useSession({
    id, kind: "vnc", address, open: (given, tell) => connect(given, /** @type {HTMLDivElement} */ (place.current), tell, (made) => (rfb.current = made)),
  });
  const isOpen = phase === "open";
  useEffect(() => {
    if (rfb.current) rfb.current.viewOnly = viewOnly.value;
  }, [viewOnly.value, isOpen]);
  return html`
    <div class="screen-frame" ref=${frame}>
      <div class="console-head">
        <span role="status">${t(`serial.${phase}`)} ${reason && html`<span class="dim">${reason}</span>`}</span>
        ${phase === "closed" && html`<button type="button" onClick=${again}>${t("serial.again")}</button>`}
        <span class="bar-space"></span>
        <label class="inline"><input type="checkbox" checked=${viewOnly.value} onChange=${() => (viewOnly.value = !viewOnly.value)} />${t("screen.viewOnly")}</label>
        <button type="button" disabled=${!isOpen || viewOnly.value} onClick=${() => rfb.current?.sendCtrlAltDel()}>Ctrl-Alt-Del</button>
        <button type="button" disabled=${!isOpen || viewOnly.value} onClick=${() => rfb.current && openPaste(rfb.current)}>${t("screen.paste")}</button>
        <button type="button" onClick=${() => void frame.current?.requestFullscreen()}><${Icon} name="full" />${t("screen.full")}</button>
        ${beside}
      </div>
      <div class="screen" ref=${place} role="application" aria-label=${t("screen.label")}></div>
    </div>`;
}

/**
 * @param {string} address
 * @param {HTMLElement} place
 * @param {import("./session.js").Tell} tell
 * @param {(rfb: RFB | null) => void} hold
 */
function connect(address, place, tell, hold) {
  const socket = new WebSocket(socketAddress(address), ["binary"]);
  let end = { code: 0, reason: "" };
  socket.addEventListener("close", ({ code, reason }) => (end = { code, reason }));
  const rfb = new RFB(place, socket, { shared: true });
  rfb.scaleViewport = true;
  rfb.background = "#000";
  rfb.addEventListener("connect", () => (tell("open"), rfb.focus()));
  rfb.addEventListener("disconnect", () => tell("closed", end.reason, end.code));
  hold(rfb);
  return () => {
    hold(null);
    rfb.disconnect();
  };
}
