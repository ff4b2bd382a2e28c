import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { WeightedStep } from '../../src/graph/critical-path.ts'
import { Frontier } from '../../src/graph/frontier.ts'

function step(weight: number, ...parents: number[]): WeightedStep {
  return { weight, parents }
}

/** Starts everything that may start. */
function startAll(frontier: Frontier): number[] {
  const started: number[] = []
  for (let next = frontier.next(); next !== null; next = frontier.next()) started.push(next)
  return started
}

function states(frontier: Frontier, count: number): string {
  return Array.from({ length: count }, (_, index) => frontier.state(index)).join(' ')
}

const misuse = expect.objectContaining({ code: 'INTERNAL' })

describe('a build without failures', () => {
  test('a step starts when its own parents are done, not when their layer is', () => {
    //  0 ─→ 2 ─→ 4
    //  1 ─→ 3
    const frontier = new Frontier([step(1), step(1), step(1, 0), step(1, 1), step(1, 2)], { window: 8 })
    expect(startAll(frontier)).toEqual([0, 1])
    frontier.succeed(0)
    expect(startAll(frontier)).toEqual([2])
    frontier.succeed(2)
    expect(startAll(frontier)).toEqual([4])
    expect(states(frontier, 5)).toBe('done running done pending running')
    expect(frontier.running).toEqual([1, 4])
  })

  test('a step waits for all its parents', () => {
    //  0 ─┬─→ 2      (1 is named twice)
    //  1 ─┘
    const frontier = new Frontier([step(1), step(1), step(1, 0, 1, 1)], { window: 8 })
    startAll(frontier)
    frontier.succeed(1)
    expect(frontier.next()).toBeNull()
    expect(frontier.state(2)).toBe('pending')
    frontier.succeed(0)
    expect(frontier.next()).toBe(2)
  })

  test('the longest remaining path goes first, of equal ones the lowest index', () => {
    //  0 (3)    1 (1) ─→ 4 (5)    2 (3)    3 (4)
    const frontier = new Frontier([step(3), step(1), step(3), step(4), step(5, 1)], { window: 8 })
    expect(startAll(frontier)).toEqual([1, 3, 0, 2])
  })

  test('the window bounds what runs', () => {
    const frontier = new Frontier([step(1), step(2), step(3)], { window: 2 })
    expect(startAll(frontier)).toEqual([2, 1])
    expect(frontier.counts()).toEqual({
      pending: 0,
      ready: 1,
      running: 2,
      done: 0,
      failed: 0,
      skipped: 0,
      canceled: 0,
    })
    frontier.succeed(1)
    expect(startAll(frontier)).toEqual([0])
  })

  test('it is finished when nothing runs and nothing can start', () => {
    const frontier = new Frontier([step(1), step(1, 0)], { window: 1 })
    expect(frontier.finished).toBe(false)
    startAll(frontier)
    expect(frontier.finished).toBe(false)
    frontier.succeed(0)
    expect(frontier.finished).toBe(false)
    startAll(frontier)
    frontier.succeed(1)
    expect(frontier.finished).toBe(true)
    expect(frontier.counts().done).toBe(2)
  })

  test('a build of nothing is finished at once', () => {
    const frontier = new Frontier([], { window: 1 })
    expect([frontier.finished, frontier.next()]).toEqual([true, null])
  })
})

describe('failures', () => {
  //  0 ─→ 1 ─┬─→ 3 ─→ 4
  //       2 ─┘
  //  5 ─→ 6
  const steps = [step(1), step(1, 0), step(1), step(1, 1, 2), step(1, 3), step(1), step(1, 5)]

  test('a failed step skips its descendants, naming the cause, and the rest goes on', () => {
    const frontier = new Frontier(steps, { window: 8 })
    expect(startAll(frontier)).toEqual([0, 2, 5])
    expect(frontier.fail(0)).toEqual([1, 3, 4])
    expect([1, 3, 4, 2, 0].map((index) => frontier.causeOf(index))).toEqual([0, 0, 0, null, null])
    frontier.succeed(2)
    frontier.succeed(5)
    expect(startAll(frontier)).toEqual([6])
    frontier.succeed(6)
    expect(states(frontier, 7)).toBe('failed skipped done skipped skipped done done')
    expect(frontier.finished).toBe(true)
  })

  test('a step that is skipped already keeps its first cause', () => {
    const frontier = new Frontier(steps, { window: 8 })
    startAll(frontier)
    expect(frontier.fail(2)).toEqual([3, 4])
    expect(frontier.fail(0)).toEqual([1])
    expect([1, 3, 4].map((index) => frontier.causeOf(index))).toEqual([0, 2, 2])
  })

  test('a canceled step takes its descendants with it', () => {
    const frontier = new Frontier(steps, { window: 8 })
    startAll(frontier)
    expect(frontier.cancel(2)).toEqual([3, 4])
    expect(states(frontier, 7)).toBe('running pending canceled canceled canceled running pending')
    expect(frontier.causeOf(4)).toBe(2)
  })

  test('a chain of 50,000 steps is skipped', () => {
    const chain = Array.from({ length: 50_000 }, (_, index) => step(1, ...(index === 0 ? [] : [index - 1])))
    const frontier = new Frontier(chain, { window: 1 })
    frontier.next()
    expect(frontier.fail(0)).toHaveLength(49_999)
    expect(frontier.finished).toBe(true)
  })
})

describe('stop', () => {
  //  0 ─→ 2 ─→ 3      1      4
  const steps = [step(1), step(1), step(1, 0), step(1, 2), step(1)]

  test('nothing more starts, what runs goes on, and the rest gets its final state', () => {
    const frontier = new Frontier(steps, { window: 2 })
    expect(startAll(frontier)).toEqual([0, 1])
    frontier.stop()
    frontier.stop()
    expect(frontier.finished).toBe(false)
    expect(frontier.remaining('canceled')).toEqual([2, 3, 4])
    frontier.succeed(0)
    frontier.cancel(1)
    expect(frontier.next()).toBeNull()
    expect(states(frontier, 5)).toBe('done canceled canceled canceled canceled')
    expect(frontier.finished).toBe(true)
    expect(frontier.causeOf(4)).toBeNull()
  })

  test('fail-fast skips what never started, with the failed step as the cause', () => {
    const frontier = new Frontier(steps, { window: 2 })
    startAll(frontier)
    expect(frontier.fail(0)).toEqual([2, 3])
    frontier.stop()
    frontier.succeed(1)
    expect(frontier.finished).toBe(true)
    expect(frontier.remaining('skipped', 0)).toEqual([4])
    expect([2, 3, 4].map((index) => frontier.causeOf(index))).toEqual([0, 0, 0])
    expect(frontier.remaining('skipped')).toEqual([])
  })
})

describe('misuse', () => {
  test('an event that the state does not allow throws and changes nothing', () => {
    const frontier = new Frontier([step(1), step(1, 0)], { window: 2 })
    for (const event of ['succeed', 'fail', 'cancel'] as const) {
      expect(() => frontier[event](0)).toThrow(misuse)
      expect(() => frontier[event](1)).toThrow(misuse)
      expect(() => frontier[event](2)).toThrow(misuse)
    }
    expect(states(frontier, 2)).toBe('ready pending')
    frontier.next()
    frontier.succeed(0)
    for (const event of ['succeed', 'fail', 'cancel'] as const) expect(() => frontier[event](0)).toThrow(misuse)
    expect(() => frontier.remaining('skipped')).toThrow(misuse)
    expect(() => frontier.state(-1)).toThrow(misuse)
    expect(states(frontier, 2)).toBe('done ready')
  })

  test.each([0, -1, Number.NaN])('a window of %d is refused', (window) => {
    expect(() => new Frontier([step(1)], { window })).toThrow(misuse)
  })

  test('a cycle is refused', () => {
    expect(() => new Frontier([step(1, 1), step(1, 0)], { window: 1 })).toThrow(misuse)
  })
})

describe('a long chain beside a wide, slow layer', () => {
  //      ┌─→ 1 … 12   (10 s each, nothing behind them)
  //  0 ──┤
  //      └─→ 13 ─→ 14 ─→ … ─→ 20   (5 s each)
  const seconds = [1, ...Array.from({ length: 12 }, () => 10), ...Array.from({ length: 8 }, () => 5)]
  const parents = seconds.map((_, index) => (index === 0 ? [] : index <= 13 ? [0] : [index - 1]))
  const chain = Array.from({ length: 8 }, (_, index) => 13 + index)

  function simulate(weights: readonly number[], window = 4) {
    const frontier = new Frontier(
      parents.map((parents, index) => ({ parents, weight: weights[index]! })),
      { window },
    )
    const startedAt = new Map<number, number>()
    const endsAt = new Map<number, number>()
    let now = 0
    for (;;) {
      for (const started of startAll(frontier)) {
        startedAt.set(started, now)
        endsAt.set(started, now + seconds[started]!)
      }
      if (frontier.finished) break
      const [next] = frontier.running.sort((a, b) => endsAt.get(a)! - endsAt.get(b)! || a - b)
      now = endsAt.get(next!)!
      frontier.succeed(next!)
    }
    const wideEndsAt = Math.max(...Array.from({ length: 12 }, (_, index) => endsAt.get(index + 1)!))
    return { chainStartsAt: startedAt.get(13)!, chainEndsAt: endsAt.get(20)!, wideEndsAt, endsAt: now, startedAt }
  }

  test('starts before the layer ends, and each link right after the one before', () => {
    const run = simulate(seconds)
    expect(run.chainStartsAt).toBe(1)
    expect(run.chainStartsAt).toBeLessThan(run.wideEndsAt)
    expect(chain.map((index) => run.startedAt.get(index))).toEqual([1, 6, 11, 16, 21, 26, 31, 36])
    // 1 s + 160 s of work on 4 lanes cannot be done before 41 s.
    expect([run.chainEndsAt, run.endsAt]).toEqual([41, 41])
  })

  test('starts first too while no durations are known', () => {
    const run = simulate(seconds.map(() => 1))
    expect([run.chainStartsAt, run.endsAt]).toEqual([1, 41])
  })

  test('starts only when the layer ends if steps go in their order: the priority makes the difference', () => {
    const run = simulate(seconds.map(() => 0))
    expect(run.chainStartsAt).toBe(31)
    expect(run.chainStartsAt).toBeGreaterThanOrEqual(run.wideEndsAt)
    expect(run.endsAt).toBe(71)
  })
})

describe('a build that people steer', () => {
  //  0 ─→ 1 ─→ 2
  //  3 ─────↗
  const steps = [step(1), step(1, 0), step(1, 1, 3), step(1)]

  test('leaves out a step that waits, with what follows it; its cause is itself', () => {
    const frontier = new Frontier(steps, { window: 8 })
    startAll(frontier)
    expect(frontier.skip(1)).toEqual([2])
    expect([1, 2].map((index) => frontier.causeOf(index))).toEqual([1, 1])
    frontier.succeed(0)
    frontier.succeed(3)
    expect(states(frontier, 4)).toBe('done skipped skipped done')
    expect(frontier.finished).toBe(true)
  })

  test('leaves out a step that is ready or runs', () => {
    const frontier = new Frontier(steps, { window: 1 })
    expect(frontier.next()).toBe(0)
    frontier.skip(3)
    frontier.skip(0)
    expect(states(frontier, 4)).toBe('skipped skipped skipped skipped')
    expect([frontier.running, frontier.next(), frontier.finished]).toEqual([[], null, true])
    expect(() => frontier.skip(1)).toThrow(misuse)
  })

  test('tries a failed step again, and with it what was skipped because of it alone', () => {
    const frontier = new Frontier(steps, { window: 8 })
    startAll(frontier)
    frontier.fail(0)
    frontier.fail(3)
    expect(frontier.reopen([0])).toEqual([0, 1])
    expect(states(frontier, 4)).toBe('ready pending skipped failed')
    expect(frontier.causeOf(2)).toBe(3)
    expect(frontier.reopen([3])).toEqual([2, 3])
    expect(startAll(frontier)).toEqual([0, 3])
    frontier.succeed(0)
    frontier.succeed(3)
    expect(startAll(frontier)).toEqual([1])
    expect(() => frontier.reopen([0])).toThrow(misuse)
  })

  test('has a wider or narrower window from then on', () => {
    const frontier = new Frontier([step(1), step(1), step(1)], { window: 1 })
    expect(startAll(frontier)).toEqual([0])
    frontier.window = 2
    expect(startAll(frontier)).toEqual([1])
    frontier.window = 1
    frontier.succeed(0)
    expect(startAll(frontier)).toEqual([])
    expect(() => (frontier.window = 0)).toThrow(misuse)
  })
})

describe('on any graph, with any outcomes', () => {
  const outcomes = fc.constantFrom('succeed', 'succeed', 'succeed', 'fail', 'cancel')
  const builds = fc.integer({ min: 1, max: 30 }).chain((size) =>
    fc.record({
      steps: fc
        .tuple(
          ...Array.from({ length: size }, (_, index) =>
            fc.record({
              weight: fc.nat(9),
              parents: index === 0 ? fc.constant<number[]>([]) : fc.uniqueArray(fc.nat(index - 1), { maxLength: 3 }),
            }),
          ),
        )
        .chain((steps) =>
          fc.shuffledSubarray([...steps.keys()], { minLength: size, maxLength: size }).map((places) => {
            // The same graph with its steps renumbered, so that a parent may have a higher index.
            const shuffled: WeightedStep[] = []
            for (const [index, { weight, parents }] of steps.entries()) {
              shuffled[places[index]!] = { weight, parents: parents.map((parent) => places[parent]!) }
            }
            return shuffled
          }),
        ),
      window: fc.integer({ min: 1, max: 6 }),
      outcomes: fc.array(outcomes, { minLength: size, maxLength: size }),
      picks: fc.array(fc.nat(), { minLength: size, maxLength: size }),
      stopAfter: fc.option(fc.nat(size)),
      as: fc.constantFrom('skipped' as const, 'canceled' as const),
    }),
  )
  type Build = typeof builds extends fc.Arbitrary<infer B> ? B : never

  function play({ steps, window, outcomes, picks, stopAfter, as }: Build) {
    const frontier = new Frontier(steps, { window })
    const events: { step: number; event: string; done: ReadonlySet<number>; running: number }[] = []
    const done = new Set<number>()
    for (let turn = 0; ; turn++) {
      if (turn === stopAfter) {
        frontier.stop()
        for (const step of frontier.remaining(as)) events.push({ step, event: as, done: new Set(done), running: 0 })
      }
      for (const step of startAll(frontier)) {
        events.push({ step, event: 'start', done: new Set(done), running: frontier.running.length })
      }
      if (frontier.finished) break
      const { running } = frontier
      const step = running[picks[turn]! % running.length]!
      const outcome = outcomes[step]!
      const others = outcome === 'succeed' ? [] : frontier[outcome](step)
      if (outcome === 'succeed') {
        frontier.succeed(step)
        done.add(step)
      }
      events.push({ step, event: outcome, done: new Set(done), running: frontier.running.length })
      for (const other of others) events.push({ step: other, event: 'with', done: new Set(done), running: 0 })
    }
    return { frontier, events }
  }

  test('every step ends in exactly one final state, and is counted once', () => {
    fc.assert(
      fc.property(builds, (build) => {
        const { frontier, events } = play(build)
        const ends = events.filter(({ event }) => event !== 'start').map(({ step }) => step)
        expect(ends.sort((a, b) => a - b)).toEqual([...build.steps.keys()])
        const counted = { pending: 0, ready: 0, running: 0, done: 0, failed: 0, skipped: 0, canceled: 0 }
        for (const index of build.steps.keys()) counted[frontier.state(index)]++
        expect(frontier.counts()).toEqual(counted)
        expect([counted.pending, counted.ready, counted.running]).toEqual([0, 0, 0])
      }),
      { numRuns: 300 },
    )
  })

  test('no step starts before its parents are done, and none twice', () => {
    fc.assert(
      fc.property(builds, (build) => {
        const starts = play(build).events.filter(({ event }) => event === 'start')
        for (const { step, done } of starts) {
          expect(build.steps[step]!.parents.every((parent) => done.has(parent))).toBe(true)
        }
        expect(new Set(starts.map(({ step }) => step)).size).toBe(starts.length)
      }),
      { numRuns: 300 },
    )
  })

  test('the window is never exceeded', () => {
    fc.assert(
      fc.property(builds, (build) => {
        for (const { running } of play(build).events) expect(running).toBeLessThanOrEqual(build.window)
      }),
      { numRuns: 300 },
    )
  })

  test('a cause is a failed or canceled ancestor', () => {
    fc.assert(
      fc.property(builds, (build) => {
        const { frontier } = play(build)
        const ancestors = (index: number): number[] =>
          build.steps[index]!.parents.flatMap((parent) => [parent, ...ancestors(parent)])
        for (const index of build.steps.keys()) {
          const cause = frontier.causeOf(index)
          if (cause === null) continue
          expect(ancestors(index)).toContain(cause)
          expect(frontier.state(cause)).toBe(frontier.state(index) === 'skipped' ? 'failed' : 'canceled')
        }
      }),
      { numRuns: 300 },
    )
  })

  test('the same events give the same order', () => {
    fc.assert(
      fc.property(builds, (build) => {
        expect(play(build).events).toEqual(play(build).events)
      }),
    )
  })

  test('a frontier that goes on where another was left is the same as one that was never left', () => {
    fc.assert(
      fc.property(builds, fc.nat(30), (build, leftAfter) => {
        const { steps, outcomes } = build
        const steered = (frontier: Frontier, turns: number): void => {
          for (let turn = 0; turn < turns; turn++) {
            const [running] = startAll(frontier).concat(frontier.running)
            if (running === undefined) break
            const outcome = outcomes[running]!
            // In place of a cancellation, which ends a build: somebody leaves the step out.
            frontier[outcome === 'cancel' ? 'skip' : outcome](running)
          }
        }
        const whole = new Frontier(steps, { window: 1 })
        steered(whole, Infinity)
        const first = new Frontier(steps, { window: 1 })
        steered(first, leftAfter)
        const second = new Frontier(steps, { window: 1, ended: first.endedSteps() })
        expect([...steps.keys()].map((step) => second.state(step))).toEqual(
          [...steps.keys()].map((step) => first.state(step)),
        )
        steered(second, Infinity)
        for (const step of steps.keys()) {
          expect([second.state(step), second.causeOf(step)]).toEqual([whole.state(step), whole.causeOf(step)])
        }
        expect(second.counts()).toEqual(whole.counts())
      }),
      { numRuns: 300 },
    )
  })
})
