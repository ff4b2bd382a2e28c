/** millrace.yaml: settings of our own, beside config.yaml so that SQLMesh can still read the folder. */
import { z } from 'zod'
import { ProjectError } from '../errors.ts'
import { toProblems } from './config-schema.ts'
import type { ConfigSource } from './config-source.ts'
import { parseDuration } from './duration.ts'

export interface MillraceSettings {
  /** The first entry whose pattern fits a model decides. */
  steps: StepSettings[]
  /** Bad rows of audits; absent where nothing is said. */
  failures?: { keep: boolean; rows: number }
  freshness: FreshnessSettings[]
}

/** How old a table may be that models read and nobody here builds. One of the limits is there. */
export interface FreshnessSettings {
  /** The table's name, as models write it. */
  model: string
  /** The column that says when a row came: a time, a date, or text of one. */
  column: string
  /** Age from which a build warns; null: it does not. */
  warnAfterMs: number | null
  /** Age from which no build of what reads it starts; null: any. */
  errorAfterMs: number | null
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

const duration = z
  .string()
  .refine((text) => (parseDuration(text) ?? 0) > 0, { error: "a duration such as '2h', '90s' or '1h30m'" })

const settingsSchema = z.strictObject({
  freshness: z
    .array(
      z
        .strictObject({
          model: z.string().min(1),
          column: z.string().min(1),
          warn_after: duration.optional(),
          error_after: duration.optional(),
        })
        .refine((entry) => entry.warn_after !== undefined || entry.error_after !== undefined, {
          error: 'a source with warn_after, error_after or both',
        }),
    )
    .default([]),
  steps: z
    .array(
      z.strictObject({
        models: z.string().min(1),
        timeout: duration.optional(),
        attempts: z.int().min(1).default(DEFAULT_STEP.attempts),
      }),
    )
    .default([]),
  audits: z
    .strictObject({ keep_failures: z.boolean().default(false), max_rows: z.int().min(1).default(10_000) })
    .optional(),
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
    timeoutMs: parseDuration(timeout ?? '') ?? DEFAULT_STEP.timeoutMs,
  }))
  const { audits } = parsed.data
  const failures = audits === undefined ? {} : { failures: { keep: audits.keep_failures, rows: audits.max_rows } }
  const freshness = parsed.data.freshness.map(({ model, column, warn_after, error_after }) => ({
    model,
    column,
    warnAfterMs: parseDuration(warn_after ?? ''),
    errorAfterMs: parseDuration(error_after ?? ''),
  }))
  return { steps, freshness, ...failures }
}
