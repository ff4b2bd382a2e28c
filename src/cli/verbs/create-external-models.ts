/** `create-external-models`: the columns of tables that models read, and nobody here builds, into external_models.yaml. */
import { existsSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { mergeExternalModels, type FoundTable } from '../../project/external-models-file.ts'
import { isSystemName } from '../../project/names.ts'
import type { Project } from '../../project/project.ts'
import { readText } from '../../project/read-file.ts'
import type { CommandContext, Verb } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { describeQuery, liveRelation, withLiveDatabase } from '../live-database.ts'
import { loadForVerb } from '../load-for-verb.ts'

interface ExternalModelsDocument {
  file: string
  added: string[]
  updated: string[]
  /** Names that models read, and the database has no table for. */
  missing: string[]
}

export const createExternalModelsVerb: Verb = {
  async run(context) {
    await using loaded = await loadForVerb(context)
    const { project } = loaded
    const names = externalNames(project)
    const { found, missing } =
      names.length === 0 ? { found: [], missing: [] } : await findTables(context, project, names)
    const document = { ...(await writeTables(project, found)), missing }
    for (const name of missing) context.output.notice(`${name}: no such table in the database; its entry is as it was`)
    context.output.answer(toText(document), document)
    return context.options.strict && missing.length > 0 ? EXIT.failed : EXIT.done
  },
}

/** What models read that is neither a model, nor a file, nor DuckDB's own. */
function externalNames({ models, root }: Project): string[] {
  const enabled = models.filter((model) => model.enabled)
  const known = new Set(enabled.map(({ name }) => name))
  const names = new Set(enabled.flatMap((model) => model.depends_on))
  return [...names]
    .filter(
      (name) => !known.has(name) && !isSystemName(name) && !/[/\\*?]/.test(name) && !existsSync(resolve(root, name)),
    )
    .sort()
}

async function findTables(
  context: CommandContext,
  project: Project,
  names: readonly string[],
): Promise<{ found: FoundTable[]; missing: string[] }> {
  return withLiveDatabase(context, project, async (lease) => {
    const found: FoundTable[] = []
    const missing: string[] = []
    for (const name of names) {
      const query = `SELECT * FROM ${liveRelation(name, project, context.options.environment)}`
      try {
        found.push({ name, columns: await describeQuery(query, lease) })
      } catch (error) {
        if (!/Catalog Error|Binder Error|does not exist/.test(String(error))) throw error
        missing.push(name)
      }
    }
    return { found, missing }
  })
}

async function writeTables(
  project: Project,
  found: readonly FoundTable[],
): Promise<Omit<ExternalModelsDocument, 'missing'>> {
  const { root, gateway, defaultCatalog } = project
  const file =
    existsSync(join(root, 'external_models.yaml')) || !existsSync(join(root, 'schema.yaml'))
      ? 'external_models.yaml'
      : 'schema.yaml'
  const before = existsSync(join(root, file)) ? await readText(root, file) : ''
  const elsewhere = project.externals.filter((one) => one.file !== file && (one.gateway ?? gateway) === gateway)
  const { text, added, updated } = mergeExternalModels(before, found, {
    gateway,
    defaultCatalog,
    elsewhere: new Set(elsewhere.map(({ name }) => name)),
  })
  if (text !== before) {
    // Whole or not at all: people have written in it.
    await writeFile(join(root, `${file}.new`), text)
    await rename(join(root, `${file}.new`), join(root, file))
  }
  return { file, added, updated }
}

function toText({ file, added, updated, missing }: ExternalModelsDocument): string {
  const part = (word: string, names: readonly string[]): string[] =>
    names.length === 0 ? [] : [`${word}: ${names.join(', ')}`]
  const lines = [...part('added', added), ...part('updated', updated), ...part('not in the database', missing)]
  return lines.length === 0
    ? `Nothing to do: ${file} is as the database is`
    : [file, ...lines.map((line) => `  ${line}`)].join('\n')
}
