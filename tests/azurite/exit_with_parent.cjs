// Preloaded into Azurite (node --require): its standard input is a pipe which the starting Python process holds open.
// The pipe ends when that process ends, however it ends, so that no server is left behind.
"use strict";

const GRACE_MILLISECONDS = 5000;

function stop() {
  setTimeout(() => process.exit(1), GRACE_MILLISECONDS).unref();
  process.kill(process.pid, "SIGTERM"); // Azurite's own clean shutdown
}

process.stdin.once("close", stop);
process.stdin.on("error", () => {}); // "close" follows
process.stdin.resume();
process.stdin.unref(); // waiting for the end of the pipe must not itself keep the process alive
