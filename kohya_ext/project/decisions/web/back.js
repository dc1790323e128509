"use strict";
/**
 * Let the browser's "back" close what lies in front instead of leaving the page: on a phone it is
 * the only button that everybody knows.
 *
 * While something is in front, the history has one entry more; whoever closes it by other means
 * takes that entry out again. In a frame of another page the history is that page's: nothing is done.
 * `isInFront()` tells whether anything is, `close()` closes the foremost. Returns what to call when
 * something was opened or closed.
 */
window.closeOnBack = (isInFront, close) => {
  if (window.top !== window) return () => {};
  const FRONT = "in front";
  let isNoted = false, isLeaving = false;
  const look = () => {
    if (isLeaving) return;
    if (isInFront() && !isNoted) { isNoted = true; history.pushState(FRONT, ""); }
    else if (!isInFront() && isNoted) leave();
  };
  const leave = () => { isNoted = false; isLeaving = true; history.back(); };
  addEventListener("popstate", () => {
    if (isLeaving) isLeaving = false;
    else if (isNoted) { isNoted = false; close(); }
    look();
  });
  if (history.state === FRONT) leave();  // after a reload nothing is in front
  return look;
};
