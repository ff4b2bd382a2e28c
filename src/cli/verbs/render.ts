/** `render MODEL`: the SQL that would run, with the names of models in place of their tables. Does not open the database. */
import type { Model } from '../../project/model.ts'
import { renderQuery, renderStatements, type RenderOptions } from '../../project/render-model.ts'
import { resolveSeedPath } from '../../project/seeds.ts'
import { quoteRelation } from '../../sql/identifiers.ts'
import { tokenize } from '../../sql/lexer.ts'
import { kindQuery } from '../../sql/kinds/index.ts'
import { seedColumnsQuery, seedQuery, type SeedColumn } from '../../sql/seed.ts'
import type { Verb } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { externalDefinition } from '../external-definition.ts'
import { findModel } from '../find-model.ts'
import { parseTimes, type Times } from '../interval-option.ts'
import { loadForVerb, type LoadedProject } from '../load-for-verb.ts'
import { withScratchDatabase } from '../scratch-database.ts'

export interface RenderDocument {
  model: string
  query: string
  pre: string[]
  post: string[]
  /** What the model reads: models and external names. */
  dependencies: string[]
}

export const renderVerb: Verb = {
  async run(context) {
    const [written = ''] = context.args
    const times = parseTimes(context.options, Date.now())
    await using loaded = await loadForVerb(context)
    const document = await renderModel(loaded, findModel(loaded.project, written), times)
    context.output.answer(toText(document), document)
    return EXIT.done
  },
}

async function renderModel({ project, parser }: LoadedProject, model: Model, times: Times): Promise<RenderDocument> {
  const definition = externalDefinition(project, model)
  const thisModel = quoteRelation(model.relation)
  const options: RenderOptions = { ...times, runtimeStage: 'evaluating', thisModel, root: project.root, parser }
  const query = model.kind.name === 'SEED' ? await seedSql(model, project.root) : await renderQuery(definition, options)
  return {
    model: model.name,
    // An embedded model becomes a part of its readers' queries; all others are cast to the columns they declare.
    query: model.kind.name === 'EMBEDDED' || model.kind.name === 'SEED' ? query : kindQuery(model, query),
    pre: await renderStatements(model.pre, definition, options),
    post: await renderStatements(model.post, definition, options),
    dependencies: model.depends_on,
  }
}

/** Where no columns are declared, the file is read for their types, as a build does it. */
async function seedSql(model: Model, root: string): Promise<string> {
  const path = await resolveSeedPath(model.kind.path ?? '', model, root)
  const { csv_settings: settings } = model.kind
  const columns =
    model.columns === null
      ? await withScratchDatabase((lease) => lease.rows<SeedColumn>(seedColumnsQuery(path, settings)))
      : Object.entries(model.columns).map(([name, type]) => ({ name, type }))
  return seedQuery(path, settings, columns)
}

function toText({ pre, query, post }: RenderDocument): string {
  return [...pre, query, ...post].map(terminated).join('\n\n')
}

/** A semicolon behind a comment to the end of the line would belong to the comment. */
function terminated(sql: string): string {
  const text = sql.trimEnd()
  return tokenize(text).at(-1)?.text.startsWith('--') === true ? `${text}\n;` : `${text};`
}
