import java.lang.reflect.Field;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.xml.bind.JAXBElement;
import javax.xml.bind.annotation.XmlElement;
import javax.xml.bind.annotation.XmlElementRef;
import javax.xml.datatype.DatatypeFactory;
import javax.xml.datatype.XMLGregorianCalendar;
import javax.xml.namespace.QName;

/** JSON to the classes that wsimport generated, and back. The two profiles give members of different types. */
final class Bean {
    private final String text;
    private int at;

    private Bean(String text) {
        this.text = text;
    }

    static Object parse(String json) {
        return new Bean(json).value();
    }

    private char next() {
        while (Character.isWhitespace(text.charAt(at))) at++;
        return text.charAt(at);
    }

    private Object value() {
        char first = next();
        if (first == '{') {
            Map<String, Object> made = new LinkedHashMap<>();
            at++;
            while (next() != '}') {
                if (next() == ',') at++;
                next();
                String key = string();
                next();
                at++;
                made.put(key, value());
            }
            at++;
            return made;
        }
        if (first == '[') {
            List<Object> made = new ArrayList<>();
            at++;
            while (next() != ']') {
                if (next() == ',') at++;
                made.add(value());
            }
            at++;
            return made;
        }
        if (first == '"') return string();
        int start = at;
        while (at < text.length() && ",]} \n".indexOf(text.charAt(at)) < 0) at++;
        String word = text.substring(start, at);
        return switch (word) {
            case "true" -> true;
            case "false" -> false;
            case "null" -> null;
            default -> new BigDecimal(word);
        };
    }

    private String string() {
        StringBuilder made = new StringBuilder();
        for (at++; text.charAt(at) != '"'; at++) {
            char c = text.charAt(at);
            if (c == '\\') {
                c = text.charAt(++at);
                if (c == 'u') {
                    c = (char) Integer.parseInt(text.substring(at + 1, at + 5), 16);
                    at += 4;
                } else if (c == 'n') {
                    c = '\n';
                }
            }
            made.append(c);
        }
        at++;
        return made.toString();
    }

    static String json(Object value) {
        if (value instanceof Map<?, ?> map) {
            List<String> members = new ArrayList<>();
            map.forEach((name, inner) -> members.add(json(name) + ":" + json(inner)));
            return "{" + String.join(",", members) + "}";
        }
        if (value instanceof List<?> list) return "[" + String.join(",", list.stream().map(Bean::json).toList()) + "]";
        if (value == null || value instanceof Boolean || value instanceof Number) return String.valueOf(value);
        return "\"" + value.toString().replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + "\"";
    }

    /** Returns the value as an instance of a generated class, an enumeration or a scalar. */
    static Object typed(Class<?> type, Object value) throws Exception {
        if (value == null || type == String.class || type == Boolean.class) return value;
        String written = value.toString();
        if (type == Integer.class) return Integer.valueOf(written);
        if (type == Long.class) return Long.valueOf(written);
        if (type == Float.class) return Float.valueOf(written);
        if (type == BigDecimal.class) return new BigDecimal(written);
        if (type == XMLGregorianCalendar.class) return DatatypeFactory.newInstance().newXMLGregorianCalendar(written);
        if (type.isEnum()) return type.getMethod("fromValue", String.class).invoke(null, written);
        Object made = type.getConstructor().newInstance();
        if (value instanceof List<?> rows) {
            Field field = type.getDeclaredFields()[0];
            Class<?> row = argument(field.getGenericType());
            List<Object> typed = new ArrayList<>();
            for (Object inner : rows) typed.add(typed(row, inner));
            field.setAccessible(true);
            field.set(made, typed);
            return made;
        }
        for (Map.Entry<?, ?> member : ((Map<?, ?>) value).entrySet()) {
            Field field = field(type, (String) member.getKey());
            field.setAccessible(true);
            if (field.getType() == JAXBElement.class) {
                XmlElementRef ref = field.getAnnotation(XmlElementRef.class);
                field.set(made, element(ref, argument(field.getGenericType()), member.getValue()));
            } else {
                field.set(made, typed(boxed(field.getType()), member.getValue()));
            }
        }
        return made;
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static JAXBElement<?> element(XmlElementRef ref, Class type, Object value) throws Exception {
        JAXBElement made = new JAXBElement(new QName(ref.namespace(), ref.name()), type, typed(type, value));
        made.setNil(value == null);
        return made;
    }

    private static Class<?> argument(Type type) {
        return (Class<?>) ((ParameterizedType) type).getActualTypeArguments()[0];
    }

    private static Class<?> boxed(Class<?> type) {
        return type == int.class ? Integer.class : type == boolean.class ? Boolean.class : type;
    }

    private static String name(Field field) {
        XmlElement element = field.getAnnotation(XmlElement.class);
        if (element != null && !element.name().equals("##default")) return element.name();
        XmlElementRef ref = field.getAnnotation(XmlElementRef.class);
        return ref != null ? ref.name() : field.getName();
    }

    private static Field field(Class<?> type, String name) {
        for (Field field : type.getDeclaredFields()) if (name(field).equals(name)) return field;
        throw new IllegalArgumentException(type + " has no member " + name);
    }

    /** Returns maps, lists, texts, numbers and booleans for a generated class. */
    static Object plain(Object value) throws Exception {
        if (value == null || value instanceof String || value instanceof Boolean || value instanceof Number) return value;
        if (value instanceof JAXBElement<?> element) return plain(element.getValue());
        if (value instanceof Enum<?>) return value.getClass().getMethod("value").invoke(value);
        if (value instanceof XMLGregorianCalendar) return value.toString();
        if (value instanceof List<?> rows) {
            List<Object> made = new ArrayList<>();
            for (Object row : rows) made.add(plain(row));
            return made;
        }
        Map<String, Object> made = new LinkedHashMap<>();
        for (Field field : value.getClass().getDeclaredFields()) {
            field.setAccessible(true);
            Object inner = plain(field.get(value));
            if (value.getClass().getSimpleName().startsWith("ArrayOf")) return inner == null ? List.of() : inner;
            made.put(name(field), inner);
        }
        return made;
    }
}
