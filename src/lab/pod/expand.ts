/** $(NAME) is the variable's value, $$(NAME) is the text $(NAME), an unknown name stays as it is. */
export function expand(text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$(\$|\(([-._a-zA-Z0-9]+)\))/g, (all: string, kind: string, name: string) => {
    if (kind === "$") return "$";
    return Object.hasOwn(env, name) ? env[name] : all;
  });
}
