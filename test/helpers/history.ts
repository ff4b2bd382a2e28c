/** A workflow's history as a person or a program would read it. */
import type { Client, WorkflowHandle } from '@temporalio/client'

export type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>

export interface WorkflowRun {
  runId: string
  history: History
}

/** All runs that a workflow took, one continued as the next, from the first to the last. */
export async function runsOf(client: Client, workflowId: string): Promise<WorkflowRun[]> {
  const runs: WorkflowRun[] = []
  let { runId } = await client.workflow.getHandle(workflowId).describe()
  for (;;) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory()
    runs.unshift({ runId, history })
    const before = history.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId
    if (before == null || before === '') return runs
    runId = before
  }
}

export interface HistoryPayload {
  /** Name of the event's attributes, e.g. `activityTaskScheduledEventAttributes`. */
  event: string
  bytes: number
  /** Decoded: JSON as it was sent. */
  text: string
}

/** Every payload of every event, those of failures, headers, summaries and heartbeats included. */
export function historyPayloads(history: History): HistoryPayload[] {
  const found: HistoryPayload[] = []
  for (const event of history.events ?? []) {
    for (const [name, value] of Object.entries(event)) collect(value, name, found)
  }
  return found
}

/** Everything that is text in a history: the decoded payloads, and names, messages and stacks around them. */
export function historyText(history: History): string {
  const plain = JSON.stringify(history, (_, value: unknown) => (value instanceof Uint8Array ? undefined : value))
  return [plain, ...historyPayloads(history).map(({ text }) => text)].join('\n')
}

export interface ScheduledActivity {
  activityId: string
  type: string
  summary: string | null
}

/** The activities in the order in which they were scheduled. */
export function scheduledActivities(history: History): ScheduledActivity[] {
  return (history.events ?? []).flatMap((event) => {
    const scheduled = event.activityTaskScheduledEventAttributes
    if (scheduled == null) return []
    const summary = event.userMetadata?.summary?.data
    return [
      {
        activityId: scheduled.activityId ?? '',
        type: scheduled.activityType?.name ?? '',
        summary: summary == null ? null : (JSON.parse(decode(summary)) as string),
      },
    ]
  })
}

/** The largest number of activities of a type that were scheduled and not ended at one time. */
export function mostInFlight(history: History, type: string): number {
  const open = new Set<string>()
  let most = 0
  for (const event of history.events ?? []) {
    const scheduled = event.activityTaskScheduledEventAttributes
    if (scheduled?.activityType?.name === type) open.add(String(event.eventId))
    const ended =
      event.activityTaskCompletedEventAttributes ??
      event.activityTaskFailedEventAttributes ??
      event.activityTaskCanceledEventAttributes ??
      event.activityTaskTimedOutEventAttributes
    if (ended != null) open.delete(String(ended.scheduledEventId))
    most = Math.max(most, open.size)
  }
  return most
}

function collect(value: unknown, event: string, found: HistoryPayload[]): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return
  if ('data' in value && value.data instanceof Uint8Array) {
    found.push({ event, bytes: value.data.byteLength, text: decode(value.data) })
    return
  }
  for (const child of Object.values(value)) collect(child, event, found)
}

function decode(data: Uint8Array): string {
  return new TextDecoder().decode(data)
}
