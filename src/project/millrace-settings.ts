/** millrace.yaml: settings of our own, beside config.yaml so that SQLMesh can still read the folder. */
import { z } from 'zod'
import { ProjectError } from '../errors.ts'
import { toProblems } from './config-schema.ts'
import type { ConfigSource } from './config-source.ts'

export interface MillraceSettings {
  /** The first entry whose pattern fits a model decides. */
  steps: StepSettings[]
}

export interface StepSettings {
  /** A model's name, `*` for any part of it. */
  models: string
  /** How long one attempt may take. Default 24 hours. */
  timeoutMs: number
  /** How often a step is tried when its errors may pass. Default 5. */
  attempts: number
}

export const DEFAULT_STEP = { timeoutMs: 24 * 3_600_000, attempts: 5 }

const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const DURATION = /^\s*(?:\d+(?:\.\d+)?\s*(?:ms|s|m|h|d)\s*)+$/

const settingsSchema = z.strictObject({
  steps: z
    .array(
      z.strictObject({
        models: z.string().min(1),
        timeout: z
          .string()
          .refine((text) => DURATION.test(text) && toMs(text) > 0, {
            error: "a duration such as '2h', '90s' or '1h30m'",
          })
          .optional(),
        attempts: z.int().min(1).default(DEFAULT_STEP.attempts),
      }),
    )
    .default([]),
})

/** @throws ProjectError CONFIG naming every wrong or unknown key with its line */
export function parseMillraceSettings(source: ConfigSource): MillraceSettings {
  const value = Object.fromEntries(Object.entries(source.data).filter(([, given]) => given !== null))
  const parsed = settingsSchema.safeParse(value)
  if (!parsed.success) {
    const locate = (path: readonly (string | number)[]) => source.locate(path).location
    throw new ProjectError(toProblems(parsed.error.issues, { schema: settingsSchema, value, locate }))
  }
  const steps = parsed.data.steps.map(({ models, timeout, attempts }) => ({
    models,
    attempts,
    timeoutMs: timeout === undefined ? DEFAULT_STEP.timeoutMs : toMs(timeout),
  }))
  return { steps }
}

function toMs(duration: string): number {
  const parts = duration.matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)/g)
  return [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS], 0)
}
