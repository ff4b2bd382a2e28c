/** millrace.yaml: settings of our own, beside config.yaml so that SQLMesh can still read the folder. */
import { z } from 'zod'
import { ProjectError } from '../errors.ts'
import { toProblems } from './config-schema.ts'
import type { ConfigSource } from './config-source.ts'
import { parseDuration } from './duration.ts'

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

const settingsSchema = z.strictObject({
  steps: z
    .array(
      z.strictObject({
        models: z.string().min(1),
        timeout: z
          .string()
          .refine((text) => (parseDuration(text) ?? 0) > 0, { error: "a duration such as '2h', '90s' or '1h30m'" })
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
    timeoutMs: parseDuration(timeout ?? '') ?? DEFAULT_STEP.timeoutMs,
  }))
  return { steps }
}
