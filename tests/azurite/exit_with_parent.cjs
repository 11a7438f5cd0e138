// Preloaded into Azurite (node --require). Its standard input is a pipe that the starting Python process keeps open.
// When that process ends, normally or killed, the pipe closes and the server stops.
"use strict";

const GRACE_MILLISECONDS = 5000;

function stop() {
  setTimeout(() => process.exit(1), GRACE_MILLISECONDS).unref();
  process.kill(process.pid, "SIGTERM"); // Azurite's own clean shutdown
}

process.stdin.once("close", stop);
process.stdin.on("error", () => {}); // "close" follows
process.stdin.resume();
process.stdin.unref(); // the listener must not keep the process alive
