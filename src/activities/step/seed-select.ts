/** The rows of a seed, read from the very content that was planned. */
import { existsSync } from 'node:fs'
import { copyFile, mkdir, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MillraceError } from '../../errors.ts'
import type { Model } from '../../project/model.ts'
import { hashSeed, resolveSeedPath } from '../../project/seeds.ts'
import { seedColumnsQuery, seedQuery, type SeedColumn } from '../../sql/seed.ts'
import type { StepWork } from './step-work.ts'

/** Keeps a seed's content as planned, so that an edit in mid-build waits for the next build. */
export async function keepSeed(root: string, path: string, content: string): Promise<void> {
  const kept = keptPath(root, content)
  if (existsSync(kept)) return
  await mkdir(dirname(kept), { recursive: true })
  const temporary = `${kept}.${process.pid}.tmp`
  await copyFile(path, temporary)
  await rename(temporary, kept)
}

/**
 * SQL that reads a seed step's file, on this machine.
 * @throws MillraceError SEED when neither the kept copy nor the project's file has the planned content.
 */
export async function seedSelect({ step, definition, project, lease }: StepWork): Promise<string> {
  const { model } = definition
  const file = await seedFile(project.root, model, step.inputs)
  const settings = model.kind.csv_settings
  const declared = Object.entries(model.columns ?? {}).map(([name, type]) => ({ name, type }))
  const columns =
    model.columns === null ? await lease.localRows<SeedColumn>(seedColumnsQuery(file, settings)) : declared
  return seedQuery(file, settings, columns)
}

async function seedFile(root: string, model: Model, content: string): Promise<string> {
  const kept = keptPath(root, content)
  if (existsSync(kept)) return kept
  const path = await resolveSeedPath(model.kind.path ?? '', model, root)
  if ((await hashSeed(path)) === content) return path
  throw new MillraceError(
    'SEED',
    `seed '${model.kind.path ?? ''}' of '${model.name}' changed after the build was planned`,
    {
      file: model.file,
      line: model.line,
      hint: 'start the build again',
    },
  )
}

function keptPath(root: string, content: string): string {
  return join(root, '.millrace', 'seeds', `${content}.csv`)
}
