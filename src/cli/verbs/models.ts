/** `models`: the models as loaded. Opens nothing. */
import type { Model } from '../../project/model.ts'
import type { Verb } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { loadForVerb, selectedGraph } from '../load-for-verb.ts'
import { toModelDocument } from '../model-document.ts'
import { textTable } from '../text-table.ts'

export const modelsVerb: Verb = {
  async run(context) {
    await using loaded = await loadForVerb(context)
    const { project } = loaded
    const { select, exclude } = context.options
    const graph = selectedGraph(project, context.options)
    const all = select === null && exclude === null
    const models = project.models.filter((model) => all || graph.has(model.name))
    context.output.answer(
      modelsText(models),
      models.map((model) => toModelDocument(model, project.audits)),
    )
    return EXIT.done
  },
}

function modelsText(models: readonly Model[]): string {
  if (models.length === 0) return 'No models'
  const rows = models.map(({ name, kind, cron, file, enabled }) => [
    name,
    kind.name,
    cron,
    enabled ? file : `${file} (disabled)`,
  ])
  return textTable(['NAME', 'KIND', 'CRON', 'FILE'], rows)
}
