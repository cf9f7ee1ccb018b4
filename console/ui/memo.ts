import { Component, type ComponentType, type VNode } from 'preact';

/** A component that is rendered again only when one of its properties has changed. */
export function memo<Props extends object>(render: (props: Props) => VNode): ComponentType<Props> {
  return class Memo extends Component<Props> {
    override shouldComponentUpdate(next: Readonly<Props>): boolean {
      const before = this.props as Readonly<Props>;
      return (Object.keys(next) as (keyof Props)[]).some((key) => next[key] !== before[key]);
    }

    override render(props: Readonly<Props>): VNode {
      return render(props);
    }
  };
}
