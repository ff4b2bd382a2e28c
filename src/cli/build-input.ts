import { parseTime } from '../graph/time.ts'
import type { BuildInput } from '../payloads.ts'
import type { CommandContext } from './command.ts'

/** What the command line says of a build; what it leaves out is left to the workflow's defaults. */
export function toBuildInput({ options }: CommandContext, project: string, hash: string | null): BuildInput {
  const given = <K extends keyof BuildInput>(key: K, value: BuildInput[K] | null): Partial<BuildInput> =>
    value === null ? {} : { [key]: value }
  return {
    project,
    environment: options.environment,
    ...given('gateway', options.gateway),
    ...given('select', options.select),
    ...given('exclude', options.exclude),
    ...given('start', options.start),
    ...given('end', options.end),
    ...given('executionTime', options.executionTime),
    ...given('maxParallel', options.maxParallel),
    ...given('projectHash', hash),
    ...given('onConflict', options.onConflict),
    ...(options.fullRefresh ? { fullRefresh: true } : {}),
    ...(options.failFast ? { failFast: true } : {}),
    ...(options.adopt ? { adopt: true } : {}),
    ...(Object.keys(options.vars).length > 0 ? { vars: options.vars } : {}),
    lockTimeoutSeconds: options.lockTimeoutSeconds,
  }
}

/** Epoch ms: `--execution-time`, else now. @throws MillraceError USAGE */
export function executionTimeOf({ options }: CommandContext): number {
  const nowMs = Date.now()
  return options.executionTime === null ? nowMs : parseTime(options.executionTime, 'start', nowMs)
}
