/** Whether builds may be given search attributes: one that the server does not know would stop a workflow for good. */
import { Context } from '@temporalio/activity'
import { attributeGap } from '../search-attributes.ts'

/** How long an answer holds: builds that follow each other ask once. */
const FRESH_MS = 5_000
/** What is optional holds no build up. */
const LIMIT_MS = 3_000

const answers = new WeakMap<object, Map<string, { untilMs: number; answer: Promise<boolean> }>>()

/** What an activity's result says besides. */
export interface SeenSearchAttributes {
  /** The server knows them: the workflow may set them now. */
  searchAttributes?: true
}

/** Says it with an activity's result: what was just seen is what the workflow may rely on. */
export async function withSearchAttributes<T extends object | null>(work: Promise<T>): Promise<T> {
  const result = await work
  if (result === null || !(await searchAttributesKnown())) return result
  const seen: SeenSearchAttributes = { searchAttributes: true }
  return { ...result, ...seen }
}

/** False, too, where the server does not say, or does not let this worker ask. */
async function searchAttributesKnown(): Promise<boolean> {
  try {
    const context = Context.current()
    const { connection } = context.client
    const { namespace } = context.info
    const known = answers.get(connection) ?? new Map<string, { untilMs: number; answer: Promise<boolean> }>()
    answers.set(connection, known)
    const last = known.get(namespace)
    if (last !== undefined && last.untilMs > Date.now()) return await last.answer
    const answer = ask(connection, namespace)
    known.set(namespace, { untilMs: Date.now() + FRESH_MS, answer })
    return await answer
  } catch {
    return false
  }
}

async function ask(connection: Context['client']['connection'], namespace: string): Promise<boolean> {
  try {
    const list = () => connection.operatorService.listSearchAttributes({ namespace })
    const { customAttributes } = await connection.withDeadline(Date.now() + LIMIT_MS, list)
    const { missing, foreign } = attributeGap(customAttributes ?? {})
    return missing.length + foreign.length === 0
  } catch {
    return false
  }
}
