/** `evaluate MODEL`: the rows a model's query would give, from the environment's tables. Writes nothing. */
import { randomUUID } from 'node:crypto'
import { evaluateModel } from '../../activities/evaluate-model.ts'
import type { EvaluateInput, EvaluatedRows } from '../../payloads.ts'
import type { CommandContext, Verb } from '../command.ts'
import { withDatabase } from '../database.ts'
import { EXIT } from '../exit-codes.ts'
import { findModel } from '../find-model.ts'
import { parseTimes } from '../interval-option.ts'
import { loadForVerb } from '../load-for-verb.ts'
import { cellText } from '../test/test-text.ts'
import { textTable } from '../text-table.ts'

/** As long as an activity that reads may take. */
const EVALUATE_TIMEOUT_MS = 300_000

export const evaluateVerb: Verb = {
  async run(context) {
    const input = await toEvaluateInput(context)
    const { columns, rows, leftOut } = await withDatabase<EvaluatedRows>(context, {
      direct: (projects, lockTimeoutSeconds) => evaluateModel(projects, { ...input, lockTimeoutSeconds }),
      remote: (client, taskQueue) =>
        client.workflow.execute<(input: EvaluateInput) => Promise<EvaluatedRows>>('evaluate', {
          taskQueue,
          workflowId: `millrace/read/${randomUUID()}`,
          // A worker that died a moment ago still counts as one.
          workflowRunTimeout: EVALUATE_TIMEOUT_MS + context.options.lockTimeoutSeconds * 1000,
          args: [input],
        }),
    })
    if (leftOut > 0) context.output.notice(`${leftOut} rows are left out: together they are too large`)
    context.output.answer(toText({ columns, rows }, input.limit), { columns, rows })
    return EXIT.done
  },
}

async function toEvaluateInput(context: CommandContext): Promise<EvaluateInput> {
  const { options, args } = context
  const times = parseTimes(options, Date.now())
  await using loaded = await loadForVerb(context)
  const { project } = loaded
  return {
    ...times,
    project: project.name,
    ...(options.gateway === null ? {} : { gateway: options.gateway }),
    ...(Object.keys(options.vars).length === 0 ? {} : { vars: options.vars }),
    environment: options.environment,
    model: findModel(project, args[0] ?? '').name,
    limit: options.limit,
    lockTimeoutSeconds: options.lockTimeoutSeconds,
  }
}

function toText({ columns, rows }: Omit<EvaluatedRows, 'leftOut'>, limit: number): string {
  const names = columns.map(({ name }) => name)
  const table = textTable(
    names,
    rows.map((row) => names.map((name) => cellText(row[name]))),
  )
  const count = `${rows.length} row${rows.length === 1 ? '' : 's'}`
  return `${table}\n\n${count}${rows.length === limit ? ' (there may be more: --limit)' : ''}`
}
