// SPDX-License-Identifier: Apache-2.0
/**
 * One reader for all tabs of a browser that show the same: the tab that holds a lock reads, and the others receive from it what it reads.  When
 * that tab is closed or says nothing any more, another tab reads.
 */

/** The reader sends something at least every 40 seconds. */
const SILENT_MS = 60000;
const LOOK_MS = 5000;

/** Browsers have locks on HTTPS and on loopback only. */
export const canShare = () => "locks" in navigator && "BroadcastChannel" in window;

/**
 * @template News
 * @typedef {object} Member
 * @property {(until: AbortSignal, send: (news: News) => void) => Promise<void>} lead read until the signal, and send what is read to the other tabs
 * @property {() => News} state what a tab that joins must know; the tab that reads sends it
 * @property {(news: News) => void} hear what the tab that reads has sent
 */

/**
 * Take part until the signal.
 * @template News
 * @param {string} name of the lock and of the channel: it names all that decides what the reader may see
 * @param {AbortSignal} until
 * @param {Member<News>} member
 */
export async function share(name, until, { lead, state, hear }) {
  const channel = new BroadcastChannel(name);
  let leads = false;
  let heardAt = Date.now();
  /** @param {News | null} news null: a tab joins */
  const send = (news) => channel.postMessage(news);
  channel.onmessage = ({ data }) => {
    if (data === null) {
      if (leads) send(state());
    } else if (!leads) {
      heardAt = Date.now();
      hear(data);
    }
  };
  send(null);
  let steal = false;
  while (!until.aborted) {
    const turn = new AbortController();
    const ends = AbortSignal.any([until, turn.signal]);
    const timer = setInterval(() => !leads && Date.now() - heardAt > SILENT_MS && turn.abort(), LOOK_MS);
    try {
      await navigator.locks.request(name, steal ? { steal } : { signal: ends }, async () => {
        leads = true;
        await lead(ends, send);
      });
      steal = false;
    } catch {
      steal = !leads; // this tab waited for one that is silent; or another tab took the lock from this one
    }
    leads = false;
    heardAt = Date.now();
    clearInterval(timer);
    turn.abort();
  }
  channel.close();
}
