// What `sallyport credential` does: one ExecCredential for kubectl, from the cache or from the broker. What only the
// broker's answer needs is loaded when it is asked, since kubectl starts this program for each of its calls.
import { cacheFolderOf, folderProblem, readSlot, slotOf } from './credential/cache.ts'
import type { CacheSlot } from './credential/cache.ts'
import { renderExecCredential } from './credential/exec_credential.ts'
import type { GivenFlags } from './credential/flags.ts'
import type { Obtained } from './credential/obtain.ts'
import { readSettings } from './credential/settings.ts'
import type { CredentialSettings } from './credential/settings.ts'
import type { CommandIo } from './command.ts'
import { EXIT } from './exit_code.ts'
import type { ExitCode } from './exit_code.ts'
import { HttpFailure } from './http_failure.ts'
import { heldByJob } from './job_token/sources.ts'
import { InputFailure } from './input_failure.ts'
import { withoutTokens } from './shown_input.ts'

/** Exit codes: ok, denied (by the broker, or no token to be had), usage. Always one line on stderr when not ok. */
export async function runCredential(given: GivenFlags, io: CommandIo): Promise<ExitCode> {
  if (io.stdout.isTTY === true) {
    say(
      io,
      'error: this prints a token, and standard output is a terminal: let kubectl start it (see sallyport kube kubeconfig), ' +
        'or write a token to a private file with sallyport exchange --output-file FILE',
    )
    return EXIT.usage
  }
  const settings = readSettings(given, io.env)
  if (!settings.ok) {
    say(io, `error: ${settings.denial.join('; ')} (see sallyport credential --help)`)
    return EXIT.usage
  }
  try {
    return print(await find(settings.value, io), io)
  } catch (error) {
    if (!(error instanceof HttpFailure || error instanceof InputFailure)) throw error
    say(io, `failed: ${error.message}`)
    return EXIT.denied
  }
}

async function find(settings: CredentialSettings, io: CommandIo): Promise<Obtained> {
  const warn = (text: string): void =>
    say(io, `the token is not kept, so each kubectl asks the broker: ${text}`)
  const slot = await openSlot(settings, io, warn)
  const kept = slot === undefined ? undefined : readSlot(slot, io.clock())
  if (kept !== undefined) return kept
  const { obtain } = await import('./credential/obtain.ts')
  return obtain(settings.plan, slot, io, warn)
}

async function openSlot(
  { plan, cacheFolder, noCache }: CredentialSettings,
  io: CommandIo,
  warn: (text: string) => void,
): Promise<CacheSlot | undefined> {
  if (noCache) return undefined
  const folder = cacheFolderOf(cacheFolder, io.env, io.cwd)
  const problem =
    folder === undefined ? 'HOME is not set: name a folder with --cache-dir' : folderProblem(folder)
  if (folder === undefined || problem !== undefined) {
    warn(problem ?? '')
    return undefined
  }
  const held = await heldOrNothing(plan, io)
  return held === '' ? undefined : slotOf(plan, held, folder)
}

async function heldOrNothing({ jobToken }: CredentialSettings['plan'], io: CommandIo): Promise<string> {
  try {
    return await heldByJob(jobToken, io.env, {
      readFile: async (file) => (await import('./secret_input.ts')).readSecretInput(file, io),
    })
  } catch (error) {
    if (!(error instanceof InputFailure)) throw error
    // The exchange is going to need that file, too, and says what to do about it.
    return ''
  }
}

function print(obtained: Obtained, io: CommandIo): ExitCode {
  switch (obtained.kind) {
    case 'token':
      io.stdout.write(renderExecCredential(obtained.token, obtained.endsAt))
      return EXIT.ok
    case 'refused':
      say(
        io,
        obtained.keptAt === undefined
          ? obtained.message
          : `${obtained.message} [answered just now; not asked again yet]`,
      )
      return EXIT.denied
    case 'no_job_token':
      say(io, obtained.message)
      return EXIT.denied
  }
}

function say(io: CommandIo, text: string): void {
  io.stderr.write(`sallyport: ${withoutTokens(text)}\n`)
}
