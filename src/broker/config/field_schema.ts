// Fields that many sections have.
import { Type } from '#platform/config/schema_type.ts'

export const duration = (description: string, fallback?: string) =>
  Type.String({
    format: 'go-duration',
    description,
    ...(fallback !== undefined && { default: fallback }),
  })
export const path = (description: string) => Type.String({ minLength: 1, description })
export const name = (description: string) => Type.String({ minLength: 1, maxLength: 256, description })
export const names = (description: string) => Type.Array(Type.String({ minLength: 1 }), { description })
export const url = (description: string, examples: readonly string[] = []) =>
  Type.String({
    minLength: 1,
    format: 'https-or-http-url',
    description,
    ...(examples.length > 0 && { examples }),
  })
