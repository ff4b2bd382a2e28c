/** A real browser without a window, over its debugging pipe: what a person reads on a page, and pictures of it. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { promisify } from 'node:util'
import { findProgram } from '../../src/temporal/find-program.ts'
import { withProcessLock } from '../../src/temporal/process-lock.ts'
import { until } from './slow-build.ts'

export interface Browser {
  open(url: string): Promise<Page>
  close(): Promise<void>
}

export interface Page {
  /** What is rendered, its frames included. */
  text(): Promise<string>
  /** The text once `expected` is in it. */
  untilText(expected: string | RegExp): Promise<string>
  /** Clicks the first visible element that has exactly this text. */
  click(text: string): Promise<void>
  /** Value of an expression in the page. */
  evaluate<T>(expression: string): Promise<T>
  goto(url: string): Promise<void>
  /** Where the link with this text leads, whatever frame it is in. */
  linkTo(text: string): Promise<string>
  /** A PNG of what fits into the window. */
  screenshot(file: string, size?: { width: number; height: number }): Promise<void>
  close(): Promise<void>
}

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const ARGUMENTS = [
  '--headless=new',
  '--no-sandbox',
  '--no-first-run',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Frames stay in the page's process, where their text can be read.
  '--disable-site-isolation-trials',
  '--disable-features=IsolateSandboxedIframes',
  '--remote-debugging-pipe',
]
const WINDOW = { width: 1280, height: 1000 }

/** The browser on PATH; where there is none, the distribution's package, which root installs once. */
export async function startBrowser(): Promise<Browser> {
  const program = await provideChromium()
  const profile = await mkdtemp(join(tmpdir(), 'millrace-browser-'))
  const child = spawn(program, [...ARGUMENTS, `--user-data-dir=${profile}`], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  })
  const pipe = debuggingPipe(child)
  return {
    open: async (url) => openPage(pipe, url),
    async close() {
      const ended = child.exitCode === null ? new Promise((resolve) => child.once('exit', resolve)) : null
      await pipe.send('Browser.close').catch(() => child.kill('SIGKILL'))
      await ended
      await rm(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

async function provideChromium(): Promise<string> {
  const found = (): string | null => PROGRAMS.map((name) => findProgram(name, process.env)).find(Boolean) ?? null
  const there = found()
  if (there !== null) return there
  const aptGet = findProgram('apt-get', process.env)
  if (aptGet === null || process.getuid?.() !== 0) {
    throw new Error(
      `expected one of ${PROGRAMS.join(', ')} on PATH; got none: install Chromium, or run as root with apt`,
    )
  }
  return withProcessLock(join(tmpdir(), 'millrace-chromium.lock'), {}, async () => {
    const run = promisify(execFile)
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    if (found() === null) {
      await run(aptGet, ['update'], { env })
      await run(aptGet, ['install', '--yes', '--no-install-recommends', 'chromium'], { env, maxBuffer: 100_000_000 })
    }
    const installed = found()
    if (installed === null) throw new Error('expected the package chromium to bring a program; got none on PATH')
    return installed
  })
}

interface Pipe {
  send<T = unknown>(method: string, params?: object, sessionId?: string): Promise<T>
}

interface Answer {
  id?: number
  result?: unknown
  error?: { message: string }
}

/** JSON, each message ended by a zero byte. */
function debuggingPipe(child: ChildProcess): Pipe {
  const [, , , input, output] = child.stdio as unknown as [null, null, null, Writable, Readable]
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  let sent = 0
  let rest = ''
  const fail = (): void => {
    for (const { reject } of waiting.values()) reject(new Error('the browser has ended'))
    waiting.clear()
  }
  child.once('exit', fail)
  // It ends while something is written to it.
  input.on('error', fail)
  output.setEncoding('utf8').on('data', (chunk: string) => {
    const messages = `${rest}${chunk}`.split('\0')
    rest = messages.pop() ?? ''
    for (const message of messages) {
      const { id, result, error } = JSON.parse(message) as Answer
      const asked = id === undefined ? undefined : waiting.get(id)
      if (id === undefined || asked === undefined) continue
      waiting.delete(id)
      if (error === undefined) asked.resolve(result)
      else asked.reject(new Error(error.message))
    }
  })
  return {
    send: async <T>(method: string, params: object = {}, sessionId?: string) => {
      const id = ++sent
      const answer = new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }))
      input.write(`${JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })}\0`)
      return (await answer) as T
    },
  }
}

interface FrameTree {
  frame: { id: string }
  childFrames?: FrameTree[]
}

interface Evaluated<T> {
  result: { value: T }
  exceptionDetails?: { text: string; exception?: { description?: string } }
}

async function openPage(pipe: Pipe, url: string): Promise<Page> {
  const { targetId } = await pipe.send<{ targetId: string }>('Target.createTarget', { url: 'about:blank' })
  const { sessionId } = await pipe.send<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true })
  const send = <T>(method: string, params?: object): Promise<T> => pipe.send<T>(method, params, sessionId)

  async function resize({ width, height }: { width: number; height: number }): Promise<void> {
    await send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false })
  }

  async function evaluate<T>(expression: string, contextId?: number): Promise<T> {
    const options = {
      expression,
      awaitPromise: true,
      returnByValue: true,
      ...(contextId === undefined ? {} : { contextId }),
    }
    const { result, exceptionDetails } = await send<Evaluated<T>>('Runtime.evaluate', options)
    if (exceptionDetails === undefined) return result.value
    throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
  }

  /** The expression's value in each frame that is there and stays. */
  async function inFrames<T>(expression: string): Promise<T[]> {
    const { frameTree } = await send<{ frameTree: FrameTree }>('Page.getFrameTree')
    const values: T[] = []
    for (const frameId of framesOf(frameTree)) {
      try {
        const world = await send<{ executionContextId: number }>('Page.createIsolatedWorld', { frameId })
        values.push(await evaluate<T>(expression, world.executionContextId))
      } catch {
        // Replaced while we looked.
      }
    }
    return values
  }

  const text = async (): Promise<string> => (await inFrames<string>('document.body?.innerText ?? ""')).join('\n')

  await send('Page.enable')
  // Moving stripes are drawn by the processor here.
  await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-reduced-motion', value: 'reduce' }] })
  await resize(WINDOW)
  await send('Page.navigate', { url })
  return {
    text,
    evaluate: (expression) => evaluate(expression),
    untilText: async (expected) =>
      until(`the page to show ${String(expected)}`, async () => {
        const shown = await text()
        return (typeof expected === 'string' ? shown.includes(expected) : expected.test(shown)) ? shown : null
      }),
    click: async (label) => {
      await until(`'${label}' to click on`, async () => ((await evaluate<boolean>(clickOn(label))) ? true : null))
    },
    linkTo: async (label) =>
      until(`a link '${label}'`, async () => {
        const found = await inFrames<string | null>(hrefOf(label))
        return found.find((address) => address !== null) ?? null
      }),
    goto: async (url) => {
      await send('Page.navigate', { url })
    },
    screenshot: async (file, size = WINDOW) => {
      await resize(size)
      const { data } = await send<{ data: string }>('Page.captureScreenshot', { format: 'png' })
      await writeFile(file, Buffer.from(data, 'base64'))
      await resize(WINDOW)
    },
    close: async () => {
      await pipe.send('Target.closeTarget', { targetId })
    },
  }
}

function framesOf({ frame, childFrames = [] }: FrameTree): string[] {
  return [frame.id, ...childFrames.flatMap(framesOf)]
}

function clickOn(label: string): string {
  return `(() => {
    const found = [...document.querySelectorAll('a, button, summary, [role=tab], [role=button], [role=menuitem], label')]
      .find((element) => element.checkVisibility() && element.textContent.trim().replaceAll(/\\s+/g, " ") === ${JSON.stringify(label)})
    found?.click()
    return found !== undefined
  })()`
}

function hrefOf(label: string): string {
  return `[...document.querySelectorAll('a')].find((link) => link.textContent.trim() === ${JSON.stringify(label)})?.href ?? null`
}
