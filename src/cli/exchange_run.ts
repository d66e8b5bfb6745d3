// What `sallyport exchange` does, in order: read the flags, make the exchange, put the answer where it was wanted, or say
// why there is none.
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import type { ExchangeOptions } from './exchange.ts'
import { callExchange } from './exchange_call.ts'
import { planExchange } from './exchange_plan.ts'
import type { ExchangePlan } from './exchange_plan.ts'
import { HttpFailure } from './http_failure.ts'
import type { JobToken } from './job_token/source.ts'
import { parseObject } from './job_token/source.ts'
import { InputFailure } from './input_failure.ts'
import { checkOutputs, writeToken } from './token_output.ts'
import { isBrokersFault } from './token_request.ts'
import type { TokenRefusal } from './token_request.ts'

/** Exit codes: ok, denied (by the broker, or no token to be had), usage. */
export async function runExchange(options: ExchangeOptions, io: CommandIo): Promise<ExitCode> {
  const plan = planExchange(options, io.env)
  if (!plan.ok) {
    io.stderr.write(plan.denial.map((problem) => `error: ${problem}\n`).join(''))
    io.stderr.write('(see sallyport exchange --help)\n')
    return EXIT.usage
  }
  try {
    return await carryOut(plan.value, io)
  } catch (error) {
    if (!(error instanceof HttpFailure || error instanceof InputFailure)) throw error
    io.stderr.write(`sallyport: failed: ${error.message}\n`)
    return EXIT.denied
  }
}

async function carryOut(plan: ExchangePlan, io: CommandIo): Promise<ExitCode> {
  checkOutputs(plan.outputs, io)
  const outcome = await callExchange(plan, io)
  switch (outcome.kind) {
    case 'issued':
      await writeToken(outcome.issued, plan.outputs, io)
      return EXIT.ok
    case 'refused':
      io.stderr.write(explainRefusal(outcome.refusal, outcome.job))
      return EXIT.denied
    case 'no_job_token':
      io.stderr.write(`sallyport: no job token: ${outcome.problem.message}\n  -> ${outcome.problem.wayOut}\n`)
      return EXIT.denied
  }
}

/** The broker says little on purpose; what the caller may see anyway is which token it presented. */
function explainRefusal(refusal: TokenRefusal, { token, source }: JobToken): string {
  const description = refusal.description === undefined ? '' : `: ${refusal.description}`
  const id = refusal.requestId === undefined ? '' : `  request id: ${refusal.requestId}\n`
  if (isBrokersFault(refusal)) {
    return `sallyport: failed: ${refusal.error}${description}\n${id}  The broker could not answer; it has denied nothing. Try again later, or ask its operator.\n`
  }
  return [
    `sallyport: denied: ${refusal.error}${description}`,
    id === '' ? undefined : id.trimEnd(),
    `  presented: token of ${source}${outline(token)}`,
    '  The reason stands in the audit log of the broker. Ask its operator for this request id, or for',
    '  sallyport explain --token FILE',
    '',
  ]
    .filter((line) => line !== undefined)
    .join('\n')
}

function outline(token: string): string {
  const claims = parseObject(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
  if (claims === undefined) return ', which is not a JWT'
  return `, iss ${JSON.stringify(claims['iss'])}, aud ${JSON.stringify(claims['aud'])}`
}
