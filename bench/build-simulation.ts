// A build on machines that are not there: tasks wait, fetch, compute and store, and share cores, links and the store as
// real ones do. Rates change only where something begins or ends, so time goes from one such event to the next.

/** A task of a build: it fetches, then computes on one thread, then stores. */
export interface SimulatedTask {
  /** At the process that called the build; default: a worker. */
  readonly isAtCoordinator?: boolean
  readonly computeMs: number
  readonly fetchedBytes: number
  readonly storedBytes: number
  readonly fetchRequests?: number
  readonly storeRequests?: number
  /** Waits that were measured, where transfers are not simulated. */
  readonly fetchMs?: number
  readonly storeMs?: number
  /** What is done once for all tasks of that key: the bytes by each worker, the work by each thread. */
  readonly setup?: { readonly key: string; readonly fetchedBytes: number; readonly computeMs: number }
}

/** Tasks that may run side by side, once all tasks of the groups before are done. */
export interface TaskGroup {
  readonly name: string
  readonly after: readonly string[]
  readonly tasks: readonly SimulatedTask[]
  /** Passes before they begin. */
  readonly delayMs?: number
}

/** What the tasks run on. The coordinator is a machine like a worker. */
export interface Machines {
  readonly workers: number
  /** Threads of a worker that compute. */
  readonly threads: number
  /** Tasks that a worker has at a time; those beyond its threads fetch or store. Default: as many as threads. */
  readonly jobs?: number
  /** Bytes a millisecond that a machine sends, and as many that it receives. */
  readonly linkRate: number
  /** Bytes a millisecond that the store sends and receives. */
  readonly storeRate: number
  /** Requests a millisecond of one machine: those at a time, by the latency of one. */
  readonly requestRate: number
  /** Requests a millisecond that the store answers. */
  readonly storeRequestRate: number
  /** From when a thread is free until it has its next task. */
  readonly queueMs: number
}

/** Shares, 0 to 1, of what there is while a group runs. */
export interface Shares {
  readonly cores: number
  readonly links: number
  readonly store: number
  readonly requests: number
  readonly coordinator: number
}

/** How a group went. */
export interface GroupRun {
  readonly name: string
  readonly tasks: number
  readonly startMs: number
  readonly endMs: number
  readonly computeMs: number
  readonly fetchedBytes: number
  readonly storedBytes: number
  readonly requests: number
  readonly used: Shares
}

/** How a build went. */
export interface BuildRun {
  readonly totalMs: number
  readonly groups: readonly GroupRun[]
}

type FlowKind = 'delay' | 'compute' | 'in' | 'out' | 'requests'

interface Flow {
  readonly kind: FlowKind
  readonly machine: number
  readonly of: Active
  left: number
  rate: number
}

interface Phase {
  readonly kind: FlowKind
  readonly amount: number
}

/** A task that runs, or the delay of a group. */
interface Active {
  readonly group: GroupState
  readonly task: SimulatedTask | undefined
  readonly machine: number
  readonly thread: number
  /** Phases of a step run side by side; steps one after the other. */
  readonly steps: Phase[][]
  open: number
}

interface GroupState {
  readonly group: TaskGroup
  /** Groups that are waited for. */
  waits: number
  left: number
  startMs: number
  endMs: number
  fetchedBytes: number
  storedBytes: number
  computeMs: number
  requests: number
  coordinatorMs: number
}

const COORDINATOR = 0

/** Runs groups of tasks on machines. Throws where groups wait for each other or for one that is not there. */
export function simulateBuild(groups: readonly TaskGroup[], machines: Machines): BuildRun {
  return new Simulation(groups, machines).run()
}

class Simulation {
  readonly #machines: Machines
  readonly #groups: Map<string, GroupState>
  readonly #ready: { group: GroupState; task: SimulatedTask }[] = []
  readonly #readyAtCoordinator: { group: GroupState; task: SimulatedTask }[] = []
  /** Numbers of free threads, by machine; the coordinator is the first. */
  readonly #free: number[][]
  /** What each worker has fetched and each thread has done once. */
  readonly #done = new Set<string>()
  #flows: Flow[] = []
  #now = 0

  constructor(groups: readonly TaskGroup[], machines: Machines) {
    this.#machines = machines
    this.#free = Array.from({ length: machines.workers + 1 }, () =>
      Array.from({ length: machines.jobs ?? machines.threads }, (_, job) => job)
    )
    this.#groups = new Map(groups.map((group) => [group.name, stateOf(group)]))
    for (const { name, after } of groups)
      for (const other of after)
        if (!this.#groups.has(other)) throw new Error(`${name} waits for ${other}, which is not there`)
  }

  run(): BuildRun {
    for (const state of this.#groups.values()) if (state.waits === 0) this.#open(state)
    for (;;) {
      this.#start()
      if (this.#flows.length === 0) break
      this.#setRates()
      this.#advance()
    }
    const states = [...this.#groups.values()]
    const stuck = states.find(({ left }) => left > 0)
    if (stuck !== undefined) throw new Error(`${stuck.group.name} is never begun`)
    return { totalMs: this.#now, groups: states.map((state) => this.#describe(state)) }
  }

  #open(state: GroupState): void {
    const { delayMs = 0 } = state.group
    if (delayMs === 0) this.#begin(state)
    else this.#follow(activeOf(state, { machine: COORDINATOR, thread: -1 }, [[{ kind: 'delay', amount: delayMs }]]))
  }

  #begin(state: GroupState): void {
    state.startMs = this.#now
    for (const task of state.group.tasks)
      (task.isAtCoordinator === true ? this.#readyAtCoordinator : this.#ready).push({ group: state, task })
    if (state.left === 0) this.#close(state)
  }

  #close(state: GroupState): void {
    state.endMs = this.#now
    for (const other of this.#groups.values())
      if (other.group.after.includes(state.group.name) && --other.waits === 0) this.#open(other)
  }

  /** Gives tasks to free threads, always of the worker that has most of them. */
  #start(): void {
    const workers = this.#free.slice(1)
    let next = 0
    while (next < this.#ready.length) {
      const most = workers.reduce((best, free) => (free.length > best.length ? free : best), workers[0])
      if (most.length === 0) break
      this.#take(this.#ready[next++], workers.indexOf(most) + 1)
    }
    this.#ready.splice(0, next)
    while (this.#readyAtCoordinator.length > 0 && this.#free[COORDINATOR].length > 0) {
      const [first] = this.#readyAtCoordinator.splice(0, 1)
      this.#take(first, COORDINATOR)
    }
  }

  #take({ group, task }: { group: GroupState; task: SimulatedTask }, machine: number): void {
    const thread = this.#free[machine].shift() ?? 0
    const once = this.#setupOf(task, machine, thread % this.#machines.threads)
    const fetchedBytes = task.fetchedBytes + once.fetchedBytes
    const computeMs = task.computeMs + once.computeMs
    const requests = (task.fetchRequests ?? 0) + (task.storeRequests ?? 0)
    group.fetchedBytes += fetchedBytes
    group.storedBytes += task.storedBytes
    group.computeMs += computeMs
    group.requests += requests
    const steps: Phase[][] = [
      [{ kind: 'delay', amount: machine === COORDINATOR ? 0 : this.#machines.queueMs }],
      task.fetchMs === undefined
        ? [
            { kind: 'in', amount: fetchedBytes },
            { kind: 'requests', amount: task.fetchRequests ?? 0 }
          ]
        : [{ kind: 'delay', amount: task.fetchMs }],
      [{ kind: 'compute', amount: computeMs }],
      task.storeMs === undefined
        ? [
            { kind: 'out', amount: task.storedBytes },
            { kind: 'requests', amount: task.storeRequests ?? 0 }
          ]
        : [{ kind: 'delay', amount: task.storeMs }]
    ]
    this.#follow({ ...activeOf(group, { machine, thread }, steps), task })
  }

  #setupOf({ setup }: SimulatedTask, machine: number, thread: number): { fetchedBytes: number; computeMs: number } {
    if (setup === undefined) return { fetchedBytes: 0, computeMs: 0 }
    const once = (key: string): boolean => !this.#done.has(key) && this.#done.add(key).has(key)
    return {
      fetchedBytes: once(`${setup.key} ${machine}`) ? setup.fetchedBytes : 0,
      computeMs: once(`${setup.key} ${machine} ${thread}`) ? setup.computeMs : 0
    }
  }

  /** Goes on with the next step of a task, or ends it. */
  #follow(active: Active): void {
    for (;;) {
      const phases = active.steps.shift()
      if (phases === undefined) break
      const left = phases.filter(({ amount }) => amount > 0)
      if (left.length === 0) continue
      active.open = left.length
      for (const { kind, amount } of left)
        this.#flows.push({ kind, machine: active.machine, of: active, left: amount, rate: 0 })
      return
    }
    if (active.task === undefined) this.#begin(active.group)
    else {
      this.#free[active.machine].push(active.thread)
      if (--active.group.left === 0) this.#close(active.group)
    }
  }

  /**
   * Transfers get equal parts of what they share, and what the store cannot give is taken from the fastest. Tasks
   * compute in the order they come.
   */
  #setRates(): void {
    const { threads, linkRate, requestRate, storeRate, storeRequestRate } = this.#machines
    const capacity = { in: linkRate, out: linkRate, requests: requestRate }
    const counts = new Map<string, number>()
    for (const flow of this.#flows) {
      const key = `${flow.kind} ${flow.machine}`
      const before = counts.get(key) ?? 0
      counts.set(key, before + 1)
      flow.rate = flow.kind === 'compute' && before >= threads ? 0 : 1
    }
    for (const flow of this.#flows) {
      const { kind, machine } = flow
      if (kind !== 'delay' && kind !== 'compute') flow.rate = capacity[kind] / (counts.get(`${kind} ${machine}`) ?? 1)
    }
    limitTogether(
      this.#flows.filter(({ kind }) => kind === 'in' || kind === 'out'),
      storeRate
    )
    limitTogether(
      this.#flows.filter(({ kind }) => kind === 'requests'),
      storeRequestRate
    )
  }

  #advance(): void {
    const elapsed = this.#flows.reduce((least, { left, rate }) => Math.min(least, left / rate), Infinity)
    this.#now += elapsed
    const busy = new Set(this.#flows.filter((flow) => isAtCoordinator(flow)).map(({ of }) => of.group))
    for (const group of busy) group.coordinatorMs += elapsed
    const ended: Flow[] = []
    for (const flow of this.#flows) {
      flow.left -= flow.rate * elapsed
      if (flow.left <= 1e-9 * flow.rate) ended.push(flow)
    }
    const gone = new Set(ended)
    this.#flows = this.#flows.filter((flow) => !gone.has(flow))
    for (const { of } of ended) if (--of.open === 0) this.#follow(of)
  }

  #describe(state: GroupState): GroupRun {
    const { group, startMs, endMs, fetchedBytes, storedBytes, computeMs, requests } = state
    const { workers, threads, linkRate, storeRate, requestRate, storeRequestRate } = this.#machines
    const elapsed = Math.max(endMs - startMs, Number.MIN_VALUE)
    const machines = group.tasks.every((task) => task.isAtCoordinator === true) ? 1 : workers
    return {
      name: group.name,
      tasks: group.tasks.length,
      startMs,
      endMs,
      computeMs,
      fetchedBytes,
      storedBytes,
      requests,
      used: {
        cores: computeMs / (elapsed * machines * threads),
        links: Math.max(fetchedBytes, storedBytes) / (elapsed * machines * linkRate),
        store: (fetchedBytes + storedBytes) / (elapsed * storeRate),
        requests: requests / (elapsed * Math.min(machines * requestRate, storeRequestRate)),
        coordinator: state.coordinatorMs / elapsed
      }
    }
  }
}

function isAtCoordinator({ machine, of }: Flow): boolean {
  return machine === COORDINATOR && of.task !== undefined
}

function stateOf(group: TaskGroup): GroupState {
  return {
    group,
    waits: group.after.length,
    left: group.tasks.length,
    startMs: 0,
    endMs: 0,
    fetchedBytes: 0,
    storedBytes: 0,
    computeMs: 0,
    requests: 0,
    coordinatorMs: 0
  }
}

function activeOf(group: GroupState, at: { machine: number; thread: number }, steps: Phase[][]): Active {
  return { group, task: undefined, ...at, steps, open: 0 }
}

/** Lowers the rates of the fastest until all together are within a limit. */
function limitTogether(flows: readonly Flow[], limit: number): void {
  let left = limit
  let rest = flows.length
  if (flows.reduce((sum, { rate }) => sum + rate, 0) <= limit) return
  for (const flow of [...flows].sort((a, b) => a.rate - b.rate)) {
    flow.rate = Math.min(flow.rate, left / rest)
    left -= flow.rate
    rest--
  }
}
