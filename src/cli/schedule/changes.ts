/** What differs between a schedule as it is and as it is asked for, in words a person knows. */
import { formatDuration } from '../../project/duration.ts'
import type { BuildInput } from '../../payloads.ts'
import { calendarText } from './calendar-text.ts'
import type { ScheduleDefinition } from './definition.ts'
import { everyText } from './define.ts'

export interface Change {
  what: string
  from: string
  to: string
}

/** @param wanted whose note and pause are left as they are where they are null. */
export function changesBetween(current: ScheduleDefinition, wanted: ScheduleDefinition): Change[] {
  const asked = { ...wanted, note: wanted.note ?? current.note, paused: wanted.paused ?? current.paused }
  const before = factsOf(current)
  const after = factsOf(asked)
  const changes = [...new Set([...before.keys(), ...after.keys()])].flatMap((what) => {
    const from = before.get(what) ?? NOTHING
    const to = after.get(what) ?? NOTHING
    return from.content === to.content ? [] : [{ what, from: from.text, to: to.text }]
  })
  // The description is made of the others.
  return changes.length > 1 ? changes.filter(({ what }) => what !== DESCRIPTION) : changes
}

/** When it fires, as people say it. */
export function whenText({ calendars, intervals, auto }: ScheduleDefinition): string {
  const crons = [...new Set(calendars.map(calendarText))]
  const due = auto ? `when a model is due: ${crons.join(', ')}` : crons.join(', ')
  return [...(due === '' ? [] : [due]), ...intervals.map(everyText)].join('; ')
}

interface Fact {
  text: string
  /** Equal where nothing has changed, however it is written. */
  content: string
}

const DESCRIPTION = 'description'
const NOTHING: Fact = { text: 'none', content: '' }

function factsOf(definition: ScheduleDefinition): Map<string, Fact> {
  const { calendars, intervals } = definition
  const facts = new Map<string, Fact>()
  const add = (what: string, text: string | null | undefined, content = text): void => {
    if (text !== null && text !== undefined && text !== '') facts.set(what, { text, content: content ?? '' })
  }
  const rhythm = [
    // Whatever its comment says.
    ...calendars.map((calendar) => JSON.stringify({ ...calendar, comment: '' }, Object.keys(calendar).sort())),
    ...intervals.map(everyText),
  ]
  add('when', whenText(definition), `${definition.auto ? 'auto ' : ''}${rhythm.sort().join(' ')}`)
  add('time zone', definition.timeZone)
  add('jitter', definition.jitterMs === 0 ? null : formatDuration(definition.jitterMs))
  add('overlap', definition.overlap)
  add('catch-up', formatDuration(definition.catchUpMs))
  add('pause on failure', yesOrNo(definition.pauseOnFailure))
  add('paused', yesOrNo(definition.paused ?? false))
  add('note', definition.note)
  add('starts', definition.workflowType)
  add('workflow id', definition.workflowId)
  add('task queue', definition.taskQueue)
  for (const [what, text] of inputFacts(definition.input)) add(what, text)
  add(DESCRIPTION, [definition.summary, definition.details].join('; '))
  return facts
}

/** What is asked of each build, by the names of its options. */
export function inputFacts(input: BuildInput): [string, string][] {
  return Object.entries(input)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([key, value]): [string, string] => [
      key.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
      typeof value === 'string' ? value : JSON.stringify(value, sortedKeys),
    ])
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function yesOrNo(value: boolean): string {
  return value ? 'yes' : 'no'
}
