/** Names of a table's columns; those of numbers, marked with `#`, stand over their last digit as the numbers do. */
export function Head({ titles }: { readonly titles: readonly string[] }) {
  return (
    <thead>
      <tr>
        {titles.map((title) =>
          title.startsWith('#') ? (
            <th key={title} scope="col" class="number">
              {title.slice(1)}
            </th>
          ) : (
            <th key={title} scope="col">
              {title}
            </th>
          ),
        )}
      </tr>
    </thead>
  );
}
