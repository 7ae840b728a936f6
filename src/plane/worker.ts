/**
 * The data-plane thread: waits for ports and for the bell, polls, commits. No event loop turns while it runs; messages
 * are taken from the port by hand when the main thread rings. Nothing here decides about packets.
 */

import { performance } from "node:perf_hooks";
import { type MessagePort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { rehearse } from "../dataplane/change/policy.ts";
import * as serviceChange from "../dataplane/change/services.ts";
import { Event } from "../dataplane/counters.ts";
import * as engine from "../dataplane/engine.ts";
import { unpackServices } from "../dataplane/spec/packed-services.ts";
import { loadNative, WAIT_WORDS, WaitHow, WaitWord } from "../native/binding.ts";
import { applyMessage } from "./apply-message.ts";
import { BusyPoll, learn } from "./busy-poll.ts";
import { CpuLatency, follow, release } from "./cpu-latency.ts";
import { awaitKeeper, Crew, type CrewInit, shareOf } from "./crew/crew.ts";
import { concernsAll, type NumberedMessage } from "./messages.ts";
import { hear, isOneWay, isToPause, lookAround, OneWay, sentSoFar } from "./one-way.ts";
import { beginLive, createPlaneEngine } from "./plane-engine.ts";
import { Control, open, type PlaneMemory, type PlaneSizes } from "./plane-memory.ts";
import { carriedSoFar, look, PollRoom } from "./poll-room.ts";
import { Practice, practise } from "./practice/warm-packets.ts";
import {
  adjust,
  isFirst,
  ProcessorTime,
  setThreadAndSessionNice,
  setThreadNice,
  ThreadPriority,
} from "./thread-priority.ts";
import { collectNow, warmUp } from "./warm-up.ts";

export interface WorkerInit {
  memory: PlaneMemory;
  sizes: PlaneSizes;
  poller: number;
  bell: number;
  messages: MessagePort;
  /** Longest time to go on polling before blocking, µs; see busy-poll.ts. */
  spinUs: number;
  /** How long to sleep after each turn of a stream that nobody answers, µs; 0: not at all. See one-way.ts. */
  pauseUs: number;
  /** What to ask of idle cores under load, µs; negative: nothing. See cpu-latency.ts. */
  cpuLatencyUs: number;
  /** Of this thread, while it has little to do; see thread-priority.ts. */
  nice: number;
  /** One of several workers; left out: the only one. */
  crew?: CrewInit;
}

/** Tokens of the bell and of the timer in the poller; ports use their PortId. */
const BELL_TOKEN = 0x7fffffff;
const TIMER_TOKEN = 0x7ffffffe;
/** Changes take no more than this of a turn, and one message: packets that come meanwhile wait for them. */
const APPLY_MS = 0.25;
/** Longest window while this thread is before others: it yields to nobody then, and is woken soon. */
const SPIN_FIRST_US = 30;
/** Fewer idle cores are none. */
const NO_CORE = 0.1;
/**
 * For how long the thread wants a core at a time: as little as the kernel grants. Turns end at ticks, milliseconds apart,
 * and until then packets wait, and after them those who read them (docs/performance.md).
 */
const SLICE_US = 100;
/** How often the load is looked at, ms. */
const LOAD_PERIOD_MS = 100;
/** Longest sleep, so that expiry goes on: microseconds. */
const SLEEP_US = 100_000;
const FOR_EVER = -1;
/** Practice begins so long after the start, for pods want their packets first; it goes on when nothing came so long. */
const PRACTICE_FROM_MS = 1000;
const PRACTICE_IDLE_US = 1000;
const PRACTICE_MS = 1;

const init = workerData as WorkerInit;
const native = loadNative();
const shared = open(init.memory, init.sizes);
const crew = init.crew === undefined ? null : new Crew(init.crew.memory, catchUp);
const { index: own, count: workers } = init.crew ?? { index: 0, count: 1 };
if (init.crew !== undefined) awaitKeeper(init.crew);
const plane = createPlaneEngine(init.sizes, {
  ...{ io: native, offload: native, shared },
  ...(init.crew !== undefined && crew !== null && { share: shareOf(init.crew, crew) }),
});
if (crew !== null) crew.engine = plane;
native.threadSlice(SLICE_US);
native.adviseHuge(plane.tables.arena); // 8.3 against 8.0 Gbit/s, mean of three runs each, busy machine
const control = new Int32Array(init.memory.control);
const tokens = new Int32Array(256);
/** What `wait` says, by WaitWord. In an array, not in variables: a turn makes no garbage. */
const waited = new Float64Array(WAIT_WORDS);
const tokensPin = native.pin(tokens);
const waitedPin = native.pin(waited);
const timer = native.timerFd(SLEEP_US);
const hasTimer = native.pollerAddEvent(init.poller, timer, TIMER_TOKEN) === 0;
native.wait(init.poller, tokensPin, 0, 0, waitedPin);
/** When the engine's clock was 0: where an earlier plane left connections, theirs goes on. */
const startedMs = beginLive(plane, shared.durable, waited[WaitWord.NOW_MS]);
Atomics.store(control, Control.READY, 1);
Atomics.notify(control, Control.READY);
/** What CLOCK_MONOTONIC has to be moved by to be the time of day, ms. */
const epochMs = performance.timeOrigin + performance.now() - waited[WaitWord.NOW_MS];
rehearse(plane.tables);
const busyPoll = new BusyPoll(init.spinUs);
const cpuLatency = new CpuLatency(init.cpuLatencyUs);
// A session has one nice value: the first worker sets it.
const priority = new ThreadPriority(init.nice, own === 0 ? setThreadAndSessionNice : setThreadNice);
const pollRoom = new PollRoom();
const oneWay = new OneWay(init.sizes.maxPorts);
const processorTime = init.nice < 0 || init.spinUs > 0 || init.pauseUs > 0 ? ProcessorTime.open() : null;
let practice: Practice | null = null;
let hasPractised = false;
const beganMs = waited[WaitWord.NOW_MS];
let turns = 0;
const period = {
  startMs: 0,
  received: 0,
  wantedMs: processorTime?.wantedMs() ?? 0,
  idleMs: processorTime?.idleMs() ?? 0,
};
const told = { cpuLatency: "", priority: "" };
let stopping = false;
/** Messages may be waiting. */
let isRung = true; // the first look at the clock took the bell with it
/** Other workers have to hear of a change. */
let isToRing = false;
/** Each port is one worker's to read. */
const polling = {
  add: (fd: number, id: number): number => (id % workers === own ? native.pollerAdd(init.poller, fd, id) : 0),
  remove: (fd: number): number => native.pollerRemove(init.poller, fd),
};

plane.polling = polling;

/** Applies messages that wait, as many as fit this turn. Cold: it runs when the main thread rang. */
function drainMessages(): void {
  const began = performance.now();
  const cpuBegan = native.threadCpuUs();
  let heldMs = 0;
  do {
    const received = receiveMessageOnPort(init.messages);
    isRung = received !== undefined;
    if (received === undefined) break;
    const { seq, body } = received.message as NumberedMessage;
    applyOne(seq, body);
    if (crew !== null && concernsAll(body.type)) {
      crew.changed(seq);
      isToRing = true;
    }
    heldMs = performance.now() - began;
  } while (heldMs < APPLY_MS);
  noteHeld(began, cpuBegan);
}

function noteHeld(began: number, cpuBegan: number): void {
  atLeast(Control.HELD_US, Math.ceil((performance.now() - began) * 1000));
  atLeast(Control.HELD_CPU_US, native.threadCpuUs() - cpuBegan);
}

function applyOne(seq: number, body: NumberedMessage["body"]): void {
  if (body.type === "stop") stopping = true;
  else if (body.type !== "packed") applyMessage(plane, body, polling);
  else applyMessage(plane, { type: "services", update: unpackServices(body.services) }, polling);
  tellRefused();
  Atomics.store(control, Control.APPLIED, seq);
  Atomics.notify(control, Control.APPLIED);
}

/** Makes the changes that the keeper has made, up to that one: the main thread sent them here first. */
function catchUp(change: number): void {
  const began = performance.now();
  const cpuBegan = native.threadCpuUs();
  for (;;) {
    const received = receiveMessageOnPort(init.messages);
    if (received === undefined) throw new Error(`change ${change} has not come to worker ${own}`);
    const { seq, body } = received.message as NumberedMessage;
    applyOne(seq, body);
    if (seq === change) break;
  }
  noteHeld(began, cpuBegan);
}

function atLeast(word: number, value: number): void {
  if (value > control[word]) Atomics.store(control, word, value);
}

/** Service ports that do not fit are the main thread's to report. */
function tellRefused(): void {
  const { refused } = plane.tables.services;
  if (refused.size === control[Control.REFUSED]) return;
  for (const id of refused.keys()) {
    Atomics.store(control, Control.REFUSED_ID, id);
    break;
  }
  Atomics.store(control, Control.REFUSED, refused.size);
}

function goOnWithServices(): void {
  serviceChange.goOn(plane.tables.services);
  tellRefused();
}

/** How long the next wait may block, µs. For ever means until the timer expires. */
function waitUs(): number {
  if (practice !== null) return PRACTICE_IDLE_US;
  const dueUs = engine.msUntilDue(plane) * 1000;
  if (dueUs < SLEEP_US) return dueUs + 1000;
  return hasTimer ? FOR_EVER : SLEEP_US;
}

/** Waits for something to do. Returns how many tokens there are. */
function waitForWork(): number {
  if (isRung) return native.wait(init.poller, tokensPin, 0, 0, waitedPin);
  const isPausing = init.pauseUs > 0 && isOneWay(oneWay);
  if (isPausing && plane.work > 0) {
    const more = native.wait(init.poller, tokensPin, 0, 0, waitedPin);
    if (isToPause(oneWay, plane.work, more > 0)) native.pause(init.pauseUs);
    if (more > 0) return more;
  }
  const ready = native.wait(init.poller, tokensPin, waitUs(), isPausing ? 0 : busyPoll.windowUs, waitedPin);
  if (ready === 0 && practice !== null) goOnPractising(practice);
  learn(busyPoll, ready > 0 ? Math.ceil(waited[WaitWord.TOOK_MS] * 1000) : SLEEP_US);
  return ready;
}

/** Without it packets are what is learned from. */
function beginPractice(): void {
  try {
    practice = new Practice(native);
  } catch (error) {
    say(`no practice before packets: ${(error as Error).message}`);
  }
}

/** Cold: once after a start. */
function goOnPractising(p: Practice): void {
  practise(p, PRACTICE_MS);
  if (p.plane !== null) return;
  practice = null;
  collectNow();
}

function countWait(how: number): void {
  const { events } = plane.tables.counters;
  if (how === WaitHow.BLOCKED) events[Event.WAKEUPS]++;
  else if (how === WaitHow.POLLED) events[Event.POLL_HITS]++;
  events[Event.PAUSES] += oneWay.pauses;
  oneWay.pauses = 0;
}

/** One turn. */
function pollOnce(): void {
  const ready = waitForWork();
  // Where packets come one by one, each goes on its way before anybody asks whether there is more.
  const isAlone = plane.work <= 1 && waited[WaitWord.HOW] !== WaitHow.AT_ONCE;
  const nowMs = Math.floor(waited[WaitWord.NOW_MS] - startedMs);
  if (crew === null) engine.setClock(plane, nowMs);
  else {
    crew.nowMs = nowMs;
    crew.nowUs = (epochMs + waited[WaitWord.NOW_MS]) * 1000;
  }
  if (practice === null) turns++;
  const watchers = plane.tables.watchers;
  if (crew === null && watchers.active !== 0)
    watchers.clockUs[0] = (epochMs + waited[WaitWord.NOW_MS]) * 1000;
  let work = 0;
  for (let i = 0; i < ready; i++) {
    const token = tokens[i];
    if (token === BELL_TOKEN) isRung = true;
    else if (token !== TIMER_TOKEN) {
      const n = isAlone ? engine.pollFew(plane, token) : engine.pollPort(plane, token);
      if (n > 0) work += n;
      else if (n < 0) portFailed(token);
      if (n > 0) hear(oneWay, plane.tables.counters, token);
    }
  }
  if (crew !== null) crew.enter();
  if (!plane.isKeeper) isRung = false;
  else if (isRung) drainMessages();
  else if (serviceChange.isUnfinished(plane.tables.services)) goOnWithServices();
  plane.work = work;
  if (work > 0) countWait(waited[WaitWord.HOW]);
  const isPeriodOver = nowMs - period.startMs >= LOAD_PERIOD_MS;
  if (isPeriodOver) countTaken();
  engine.tick(plane);
  if (crew !== null) crew.leave();
  if (isPeriodOver) lookAtLoad(nowMs); // files are read: the others' turns do not wait for it
  if (isToRing) ringOthers();
  if (plane.lastError !== "") reportError();
}

function ringOthers(): void {
  isToRing = false;
  for (const bell of init.crew?.bells ?? []) native.ring(bell);
}

/** Once a period: whether somebody else had the core that this thread polled on. */
function countTaken(): void {
  if (waited[WaitWord.TAKEN_MS] > 0) plane.tables.counters.events[Event.CORE_TAKEN]++;
  waited[WaitWord.TAKEN_MS] = 0;
}

/** Cold: ten times a second. */
function lookAtLoad(nowMs: number): void {
  if (!hasPractised && waited[WaitWord.NOW_MS] - beganMs >= PRACTICE_FROM_MS) {
    hasPractised = true;
    beginPractice();
  }
  const elapsedMs = nowMs - period.startMs;
  follow(cpuLatency, (turns * 1000) / elapsedMs, nowMs);
  turns = 0;
  period.startMs = nowMs;
  plane.epochMs = Date.now() - nowMs; // NTP may have moved it
  const polledMs = waited[WaitWord.POLLED_MS];
  waited[WaitWord.POLLED_MS] = 0;
  const { counters } = plane.tables;
  const received = carriedSoFar(counters, own, workers, plane.ports.count);
  const amount = received - period.received;
  period.received = received;
  let idleCores = 0;
  if (processorTime === null) look(pollRoom, 0, amount, nowMs);
  else idleCores = lookAtCores(processorTime, elapsedMs, polledMs, amount, nowMs);
  lookAround(oneWay, idleCores, sentSoFar(counters, plane.ports.count), elapsedMs);
  busyPoll.limitUs = pollLimitUs();
  tellProblems();
}

/** What the thread does for itself, polling, is neither its load nor anybody else's. Returns how many cores were idle. */
function lookAtCores(
  time: ProcessorTime,
  elapsedMs: number,
  polledMs: number,
  amount: number,
  nowMs: number,
): number {
  const wantedMs = time.wantedMs();
  const idleMs = time.idleMs();
  const idleCores = (idleMs - period.idleMs) / elapsedMs;
  const polledCores = idleCores < NO_CORE ? 0 : polledMs / elapsedMs; // others would use it
  const share = (wantedMs - period.wantedMs) / elapsedMs - polledCores;
  look(pollRoom, idleCores, amount, nowMs);
  if (init.nice < 0) adjust(priority, share, idleCores + polledCores, nowMs);
  period.wantedMs = wantedMs;
  period.idleMs = idleMs;
  return idleCores + polledCores;
}

function pollLimitUs(): number {
  if (!pollRoom.isThere) return 0;
  return isFirst(priority) ? Math.min(SPIN_FIRST_US, init.spinUs) : init.spinUs;
}

function tellProblems(): void {
  if (cpuLatency.problem !== told.cpuLatency) {
    told.cpuLatency = cpuLatency.problem;
    say(
      `idle cores may sleep under load: ${cpuLatency.problem}: dataplane.cpuLatencyMicroseconds -1 does not ask`,
    );
  }
  if (priority.problem !== told.priority) {
    told.priority = priority.problem;
    say(`packets wait for other programs: ${priority.problem}: dataplane.nice 0 does not ask to be first`);
  }
}

/** A device that went away under us (its namespace was deleted): stop reading it, or we would spin on it. */
function portFailed(id: number): void {
  const fd = plane.ports.fd[id];
  if (fd >= 0) native.pollerRemove(init.poller, fd);
  plane.ports.active[id] = 0;
  Atomics.store(control, Control.PORTS + id, 1);
}

function reportError(): void {
  Atomics.add(control, Control.ERRORS, 1);
  say(`internal error, please report: ${plane.lastError}`);
  plane.lastError = "";
}

function say(text: string): void {
  process.stderr.write(`data plane: ${text}\n`);
}

warmUp();
collectNow(); // what starting left behind, before the first packet instead of under load
control[Control.RUNNING] = 1;
while (!stopping) pollOnce();
control[Control.RUNNING] = 0;
release(cpuLatency);
native.closeFd(timer);
init.messages.close();
