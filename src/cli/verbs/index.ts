/** Every verb, in the order `--help` shows them. Their code is loaded when they run: a command starts with what it needs. */
import type { VerbEntry } from '../command.ts'

export const VERBS: Readonly<Record<string, VerbEntry>> = {
  init: {
    usage: '[DIR]',
    summary: 'a new project that builds at once; never overwrites',
    opens: false,
    args: [0, 1],
    load: async () => (await import('./init.ts')).initVerb,
  },
  models: {
    usage: '[--select EXPR] [--exclude EXPR]',
    summary: 'the models as loaded; disabled ones too, unless models are selected',
    opens: false,
    args: [0, 0],
    load: async () => (await import('./models.ts')).modelsVerb,
  },
  graph: {
    usage: '[--format text|mermaid|dot|json] [--select EXPR] [--exclude EXPR]',
    summary: 'which model reads which, as text, for Mermaid, for Graphviz or as JSON',
    opens: false,
    args: [0, 0],
    load: async () => (await import('./graph.ts')).graphVerb,
  },
  render: {
    usage: 'MODEL [--start T] [--end T] [--execution-time T]',
    summary: 'the SQL that would run; the interval is yesterday unless --start and --end say otherwise',
    opens: false,
    args: [1, 1],
    load: async () => (await import('./render.ts')).renderVerb,
  },
  plan: {
    usage: '[--select EXPR] [--exclude EXPR] [--start T] [--end T] …',
    summary: 'what would be built and why: new, changed, removed, missing intervals, unchanged',
    opens: false,
    args: [0, 0],
    load: async () => (await import('./plan.ts')).planVerb,
  },
  build: {
    usage:
      '[--select EXPR] [--exclude EXPR] [--full-refresh] [--adopt] [--fail-fast] [--on-conflict queue|join|reject|preempt] [--detach] [--keep] …',
    summary: 'make the environment match the project, up to now',
    opens: true,
    args: [0, 0],
    load: async () => (await import('./build.ts')).buildVerb,
  },
  status: {
    usage: '[WORKFLOW_ID]',
    summary: "a build's state now; without an id that of the environment's latest build",
    opens: true,
    args: [0, 1],
    load: async () => (await import('./status.ts')).statusVerb,
  },
  watch: {
    usage: '[WORKFLOW_ID]',
    summary: "a build's state, live until it ends",
    opens: true,
    args: [0, 1],
    load: async () => (await import('./status.ts')).watchVerb,
  },
  cancel: {
    usage: '[WORKFLOW_ID]',
    summary: 'stop a build; without an id that of the environment; what was built is kept, no view moves',
    opens: true,
    args: [0, 1],
    load: async () => (await import('./cancel.ts')).cancelVerb,
  },
  pause: {
    usage: '[WORKFLOW_ID]',
    summary: 'start nothing more of a running build; what runs goes on to its end',
    opens: true,
    args: [0, 1],
    load: async () => (await import('./steer.ts')).pauseVerb,
  },
  resume: {
    usage: '[WORKFLOW_ID]',
    summary: 'go on with a paused build',
    opens: true,
    args: [0, 1],
    load: async () => (await import('./steer.ts')).resumeVerb,
  },
  skip: {
    usage: 'MODEL [WORKFLOW_ID]',
    summary: 'leave a model out of a running build, with all that read it; nothing is promoted then',
    opens: true,
    args: [1, 2],
    load: async () => (await import('./steer.ts')).skipVerb,
  },
  adjust: {
    usage: '[WORKFLOW_ID] [--max-parallel N] [--fail-fast | --no-fail-fast]',
    summary: 'change how a running build goes on',
    opens: true,
    args: [0, 1],
    load: async () => (await import('./steer.ts')).adjustVerb,
  },
  schedule: {
    usage: 'create|list|describe|pause|unpause|trigger|backfill|delete [NAME] [--cron EXPR… | --every D | --auto] …',
    summary: 'builds that start by themselves: by crons, every so often, or whenever a model is due',
    opens: true,
    args: [1, 3],
    load: async () => (await import('./schedule.ts')).scheduleVerb,
  },
  retry: {
    usage: '[WORKFLOW_ID] [--on-conflict queue|join|reject|preempt] …',
    summary: 'the latest build once more, as it was asked for: what failed or was skipped is built, then promoted',
    opens: true,
    args: [0, 1],
    load: async () => (await import('./retry.ts')).retryVerb,
  },
  state: {
    usage: 'export FILE | import FILE',
    summary:
      "the project's state (ledger, versions, environments, builds) to or from a file; not the tables themselves",
    opens: true,
    args: [2, 2],
    load: async () => (await import('./state.ts')).stateVerb,
  },
  doctor: {
    usage: '[--gateway NAME] [--address HOST:PORT] [--fix]',
    summary: 'checks config, versions, credentials, database, Temporal, threads and extensions; says what to do',
    opens: true,
    args: [0, 0],
    load: async () => (await import('./doctor.ts')).doctorVerb,
  },
}

/** Verbs of the public contract that this version answers with NOT_YET. */
export const LATER_VERBS: ReadonlySet<string> = new Set([
  'lint',
  'format',
  'lineage',
  'restate',
  'audit',
  'test',
  'evaluate',
  'create-external-models',
  'environments',
  'promote',
  'invalidate',
  'janitor',
  'diff',
  'report',
])
