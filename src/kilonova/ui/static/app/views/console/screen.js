// SPDX-License-Identifier: Apache-2.0
/** The screen of a guest, by noVNC over the websocket of its console. */
import RFB from "@novnc/novnc";
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import * as api from "../../api/servers.js";
import { html } from "../../html.js";
import { Icon } from "../../parts/icon.js";
import { sentence } from "../../parts/toast.js";
import { t } from "../../words/index.js";
import { socketAddress } from "./address.js";
import { openPaste } from "./paste.js";

/** @typedef {"connecting" | "open" | "closed"} Phase */

/**
 * @param {object} props
 * @param {string} props.id of the server
 * @param {string} [props.address] for the first opening; without one, and for each further opening, the API gives one
 * @param {any} [props.beside] further buttons
 */
export function Screen({ id, address, beside }) {
  const frame = useRef(/** @type {HTMLDivElement | null} */ (null));
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const rfb = useRef(/** @type {RFB | null} */ (null));
  const phase = useSignal(/** @type {Phase} */ ("connecting"));
  const reason = useSignal("");
  const viewOnly = useSignal(false);
  const round = useSignal(0);
  useEffect(() => {
    if (!place.current) return;
    const given = round.value === 0 ? address : undefined;
    return connect({ id, given, place: place.current, hold: (made) => (rfb.current = made), tell: (next, why) => ((phase.value = next), (reason.value = why)) });
  }, [id, round.value]);
  useEffect(() => {
    if (rfb.current) rfb.current.viewOnly = viewOnly.value;
  }, [viewOnly.value, phase.value]);
  const isOpen = phase.value === "open";
  return html`
    <div class="screen-frame" ref=${frame}>
      <div class="console-head">
        <span role="status">${t(`serial.${phase.value}`)} ${reason.value && html`<span class="dim">${reason.value}</span>`}</span>
        ${phase.value === "closed" && html`<button type="button" onClick=${() => (round.value += 1)}>${t("serial.again")}</button>`}
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
 * @param {object} how
 * @param {string} how.id
 * @param {string} [how.given]
 * @param {HTMLElement} how.place
 * @param {(rfb: RFB | null) => void} how.hold
 * @param {(phase: Phase, reason: string) => void} how.tell
 */
function connect({ id, given, place, hold, tell }) {
  /** @type {RFB | null} */
  let rfb = null;
  let ended = false;
  let why = "";
  const begin = async () => {
    tell("connecting", "");
    const address = given ?? (await api.remoteConsole(id, "vnc"));
    if (ended) return;
    const socket = new WebSocket(socketAddress(address), ["binary"]);
    socket.addEventListener("close", ({ reason }) => (why = reason));
    rfb = new RFB(place, socket, { shared: true });
    rfb.scaleViewport = true;
    rfb.background = "#000";
    rfb.addEventListener("connect", () => (tell("open", ""), rfb?.focus()));
    rfb.addEventListener("disconnect", () => ended || tell("closed", why));
    rfb.addEventListener("securityfailure", (/** @type {any} */ event) => tell("closed", event.detail.reason ?? ""));
    hold(rfb);
  };
  begin().catch((error) => tell("closed", sentence(error)));
  return () => {
    ended = true;
    hold(null);
    rfb?.disconnect();
  };
}
