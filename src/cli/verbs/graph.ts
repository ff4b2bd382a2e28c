/** `graph`: which model reads which. Opens nothing. */
import { MillraceError, nearest } from '../../errors.ts'
import { drawGraph, GRAPH_FORMATS, type GraphFormat } from '../../graph/draw.ts'
import type { Verb } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { loadForVerb, selectedGraph } from '../load-for-verb.ts'

export const graphVerb: Verb = {
  async run(context) {
    const format = parseFormat(context.options.format)
    await using loaded = await loadForVerb(context)
    const graph = selectedGraph(loaded.project, context.options)
    context.output.answer(drawGraph(graph, format), { models: graph.names, edges: graph.edges() })
    return EXIT.done
  },
}

const LATER_FORMATS: ReadonlySet<string> = new Set(['svg', 'html'])

/** Default: text. */
function parseFormat(written: string | null): GraphFormat {
  if (written === null) return 'text'
  const name = written.toLowerCase()
  const format = GRAPH_FORMATS.find((known) => known === name)
  if (format !== undefined) return format
  const known = GRAPH_FORMATS.join(', ')
  if (LATER_FORMATS.has(name)) {
    throw new MillraceError('NOT_YET', `--format: '${name}' comes with a later version`, {
      hint: `Use one of ${known}; \`graph --format dot\` makes a picture with Graphviz's dot.`,
    })
  }
  const near = nearest(name, GRAPH_FORMATS)
  throw new MillraceError(
    'USAGE',
    `--format: expected one of ${known}; got '${written}'`,
    near === null ? {} : { hint: `Did you mean '${near}'?` },
  )
}
