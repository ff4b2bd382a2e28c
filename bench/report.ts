/** Measurements → Markdown: a table of times, the ratios, and whether each aim was met. */
import { availableParallelism } from 'node:os'
import { summarize, type Spread } from './measure.ts'
import type { Peer } from './peers/peer.ts'

export interface Measurements {
  peer: Peer
  /** Whole command from cold. */
  commandMs: number[]
  /** The build alone, as the peer itself reports it. */
  buildMs: number[]
  /** Whole command again with nothing changed. */
  unchangedMs: number[]
}

export interface ReportInput {
  size: number
  runs: number
  /** One line per peer: versions and settings. */
  descriptions: readonly string[]
  measurements: readonly Measurements[]
}

export function formatReport({ size, runs, descriptions, measurements }: ReportInput): string {
  const date = new Date().toISOString().slice(0, 10)
  return [
    `### ${size} models`,
    '',
    `${date}, ${availableParallelism()} cores, ${runs} runs of each in turn: median (least–most) in seconds. All tables equal.`,
    '',
    ...descriptions.map((line) => `- ${line}`),
    '',
    '| | whole command from cold | build alone | again, nothing changed |',
    '|---|---|---|---|',
    ...measurements.map(formatRow),
    '',
    ...formatRatios(size, measurements),
    '',
  ].join('\n')
}

function formatRow({ peer, commandMs, buildMs, unchangedMs }: Measurements): string {
  const note = peer.unchanged === 'rebuilds' ? ' (builds all again)' : ''
  return `| ${peer.name} | ${seconds(commandMs)} | ${seconds(buildMs)} | ${seconds(unchangedMs)}${note} |`
}

function seconds(values: readonly number[]): string {
  const spread = summarize(values)
  if (spread === null) return '–'
  const [median, min, max] = [spread.medianMs, spread.minMs, spread.maxMs].map((ms) => (ms / 1000).toFixed(2))
  return `${median} (${min}–${max})`
}

type Column = 'commandMs' | 'buildMs' | 'unchangedMs'

interface Aim {
  size: number | null
  column: Column
  title: string
  /** Whose time divides Millrace's, or is divided by it. */
  other: string
  direction: 'times as long as' | 'times faster than'
  bound: number
}

const aims: readonly Aim[] = [
  { size: 500, column: 'buildMs', title: 'build', other: 'raw DuckDB', direction: 'times as long as', bound: 1 },
  { size: 500, column: 'buildMs', title: 'build', other: 'dbt-duckdb', direction: 'times faster than', bound: 8 },
  { size: 500, column: 'buildMs', title: 'build', other: 'SQLMesh', direction: 'times faster than', bound: 8 },
  {
    size: null,
    column: 'commandMs',
    title: 'whole command',
    other: 'dbt-duckdb',
    direction: 'times faster than',
    bound: 4,
  },
  {
    size: null,
    column: 'commandMs',
    title: 'whole command',
    other: 'SQLMesh',
    direction: 'times faster than',
    bound: 4,
  },
  {
    size: 500,
    column: 'unchangedMs',
    title: 'nothing changed',
    other: 'SQLMesh',
    direction: 'times as long as',
    bound: 0.5,
  },
]

/** Each aim for each Millrace row; beside raw DuckDB every peer gets its ratio, so that a run without Millrace says something too. */
function formatRatios(size: number, measurements: readonly Measurements[]): string[] {
  const find = (name: string): Measurements | undefined => measurements.find(({ peer }) => peer.name === name)
  const raw = find('raw DuckDB')
  const besideRaw = measurements
    .filter((one) => raw !== undefined && one !== raw)
    .flatMap((one) => {
      const value = ratio(one.buildMs, raw?.buildMs ?? [])
      return value === null ? [] : [`- build, ${one.peer.name}: ${value.toFixed(2)} times as long as raw DuckDB`]
    })
  const reached = measurements
    .filter(({ peer }) => peer.name.startsWith('Millrace'))
    .flatMap((own) => aims.flatMap((aim) => formatAim(aim, { size, own, other: find(aim.other) })))
  return [...besideRaw, ...reached]
}

interface Compared {
  size: number
  own: Measurements
  other: Measurements | undefined
}

function formatAim(aim: Aim, { size, own, other }: Compared): string[] {
  const [mine, theirs] = [own[aim.column], other?.[aim.column] ?? []]
  const asLong = aim.direction === 'times as long as'
  const value = asLong ? ratio(mine, theirs) : ratio(theirs, mine)
  if (value === null) return []
  const text = `- ${aim.title}, ${own.peer.name}: ${value.toFixed(2)} ${aim.direction} ${aim.other}`
  if (aim.size !== null && aim.size !== size) return [text]
  const met = asLong ? value <= aim.bound : value >= aim.bound
  return [`${text} (aim: ${asLong ? 'at most' : 'at least'} ${aim.bound}; ${met ? 'met' : '**missed**'})`]
}

function ratio(numerator: readonly number[], denominator: readonly number[]): number | null {
  const [above, below]: [Spread | null, Spread | null] = [summarize(numerator), summarize(denominator)]
  return above === null || below === null ? null : above.medianMs / below.medianMs
}
