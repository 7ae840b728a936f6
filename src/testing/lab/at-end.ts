// What a test has made outside of its process is taken away when that ends; the runner of tests sees to it that a signal
// ends it in order (runner/end-on-signal.ts).
const made = new Set<() => void>();

/**
 * `undo` is called when the process ends, and must not wait for anything: what was made last goes first. The function
 * that is returned takes that back: it is gone by now.
 */
export function atEnd(undo: () => void): () => void {
  if (made.size === 0) process.on("exit", undoAll);
  made.add(undo);
  return () => {
    // Whoever has nothing to undo does not listen: a process may run files of others after that.
    if (made.delete(undo) && made.size === 0) process.off("exit", undoAll);
  };
}

function undoAll(): void {
  for (const undo of [...made].reverse()) {
    try {
      undo();
    } catch (error) {
      console.error(`left behind: ${error instanceof Error ? error.message : error}`);
    }
  }
}
