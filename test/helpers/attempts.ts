/** A planned project whose steps a test builds itself, activity by activity, as often and as much at once as it likes. */
import { MockActivityEnvironment } from '@temporalio/testing'
import { DefaultLogger } from '@temporalio/worker'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { buildModel } from '../../src/activities/step/build-model.ts'
import { planProject } from '../../src/activities/plan/plan-project.ts'
import { WorkerProjects } from '../../src/activities/worker-projects.ts'
import { parseConnection } from '../../src/connections/config.ts'
import type { Lease } from '../../src/connections/lease.ts'
import { createConnectionRegistry } from '../../src/connections/registry.ts'
import { unpackSteps } from '../../src/graph/plan-slices.ts'
import type { BuildPlan, Occupied, BuildStep, StepInput, StepOutcome } from '../../src/payloads.ts'
import { createProject } from './project.ts'

export interface Attempt {
  /** As Temporal does. */
  cancel(): void
  outcome: Promise<StepOutcome>
}

export interface PlannedProject {
  root: string
  plan: BuildPlan
  /** Of the plan. */
  steps: readonly BuildStep[]
  /** The first step of a model. */
  step(model: string): BuildStep
  /** What the activity that builds it gets. */
  input(step: BuildStep, options?: Pick<AttemptOptions, 'runId'>): StepInput
  /** Starts that activity. */
  attempt(step: BuildStep, options?: AttemptOptions): Attempt
  lease(): Promise<Lease>
  rows<T = Record<string, unknown>>(sql: string): Promise<T[]>
  /** Lets go of its database, for other processes; nothing can be attempted then. The test's end does it, too. */
  close(): Promise<void>
}

export interface AttemptOptions {
  /** Attempts of one step share it: the run of the build. */
  runId?: string
  /** Of the activity, by Temporal's count. */
  number?: number
}

const RUN = 'run-1'
/** Failing is what many attempts are for. */
const QUIET = new DefaultLogger('ERROR')

/**
 * Plans the project up to `now`; nothing is built.
 * @param connection the gateway's, where it is not the file `w.duckdb`.
 */
export async function planForAttempts(
  files: Record<string, string>,
  now: string,
  connection?: Record<string, unknown>,
): Promise<PlannedProject> {
  const there = `gateways: { there: { connection: ${JSON.stringify(connection)} } }
model_defaults: { dialect: duckdb, start: 2024-01-01, cron: '@daily' }`
  const root = await createProject(connection === undefined ? files : { 'config.yaml': there, ...files })
  const registry = createConnectionRegistry()
  const owner = registry.attach('test')
  const projects = new WorkerProjects([root], { env: {}, registry })
  let closing: Promise<void> | null = null
  const close = (): Promise<void> => (closing ??= owner.detach().then(() => projects.close()))
  onTestFinished(close)
  const executionMs = Date.parse(now)
  const request = { build: { workflowId: 'build', runId: RUN }, executionMs }
  const planning: Promise<BuildPlan | Occupied> = new MockActivityEnvironment().run(() =>
    planProject(projects, request),
  )
  const plan = await planning
  if ('waitsFor' in plan) throw new Error('another build has the environment')
  const steps = unpackSteps(plan.steps)
  const config = parseConnection(connection ?? { type: 'duckdb', database: join(root, 'w.duckdb') }, { root, env: {} })
  const lease = (): Promise<Lease> => registry.lease(config, { holder: 'test' })

  const inputOf: PlannedProject['input'] = (step, { runId = RUN } = {}) => ({
    build: { workflowId: 'build', runId },
    project: plan.project,
    environment: plan.environment,
    gateway: plan.gateway,
    index: steps.findIndex(({ model }) => model === step.model),
    step,
    executionMs,
    lockTimeoutSeconds: 10,
  })

  return {
    root,
    plan,
    steps,
    lease,
    close,
    input: inputOf,
    step(model) {
      const found = steps.find((step) => step.model === model)
      if (found === undefined) throw new Error(`no step of '${model}'`)
      return found
    },
    attempt(step, { runId, number = 1 } = {}) {
      const environment = new MockActivityEnvironment({ attempt: number }, { logger: QUIET })
      const input = inputOf(step, runId === undefined ? {} : { runId })
      const outcome: Promise<StepOutcome> = environment.run(() => buildModel(projects, input))
      // A test looks at it when it likes; until then it is nobody's unhandled rejection.
      outcome.catch(() => undefined)
      return { cancel: () => environment.cancel(), outcome }
    },
    async rows<T>(sql: string) {
      await using opened = await lease()
      return await opened.rows<T>(sql)
    },
  }
}
